"""What a report says, as a language model reads it: one question per report, one JSON object back, checked.

The protocol is that of the paper's own extraction (arXiv 2505.13081): all abnormal descriptors, normalised to RadLex
and Fleischner terms, the same finding always under the same name.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cpo.graph.extraction import Reading
from cpo.graph.schema import Attribute, Category
from cpo.records import LabelState

Chat = Callable[[str], str]
"""Answers a prompt; retries and limits are its own business."""

RADIOLOGY = (Category.MORPHOLOGY, Category.DENSITY, Category.ANATOMY, Category.FUNCTION)
_NAME = re.compile(r"[a-z][a-z0-9 -]{1,60}")
_FENCE = re.compile(r"```(?:json)?")

PROMPT = """You read a radiology report and list what it states to be there.

Diseases, by these names only: {diseases}.
Features are all abnormal descriptors, each with its category: {categories}.
Name features by RadLex or Fleischner terms, in lower case and singular, without side, size or severity; the same
finding always gets the same name. Leave out what the report denies or doubts.

Answer with one JSON object and nothing else:
{{"diseases": ["..."], "features": [{{"name": "...", "category": "..."}}]}}

Report:
{report}
"""


class LLMExtractor:
    """Asks a language model what each report says.

    Args:
        chat: Answers a prompt.
        diseases: Names that it may use.
        categories: Kinds of feature that it may use.

    Example:
        >>> reply = '{"diseases": ["Edema"], "features": [{"name": "Kerley lines", "category": "density anomaly"}]}'
        >>> extractor = LLMExtractor(lambda prompt: reply, ["Edema"])
        >>> sorted(extractor.read("Kerley lines are seen.").attributes), list(extractor.attributes)
        (['kerley lines'], ['kerley lines'])
    """

    name = "llm"

    def __init__(self, chat: Chat, diseases: Sequence[str], categories: Sequence[Category] = RADIOLOGY) -> None:
        self._chat, self._diseases = chat, {name.lower(): name for name in diseases}
        self._categories = {category.value: category for category in categories}
        self._attributes: dict[str, Attribute] = {}
        self._failures: Counter[str] = Counter()
        self._ignored: Counter[str] = Counter()

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """Features met so far, in the category first given to each."""
        return self._attributes

    @property
    def failures(self) -> Mapping[str, int]:
        """Reports whose answer was unusable, by reason."""
        return self._failures

    @property
    def ignored(self) -> Mapping[str, int]:
        """Diseases and features of usable answers that were left out, by reason."""
        return self._ignored

    def prompt(self, text: str) -> str:
        """The question about one report."""
        return PROMPT.format(
            diseases=", ".join(self._diseases.values()), categories=", ".join(self._categories), report=text.strip()
        )

    def read(self, text: str) -> Reading | None:
        """What the model says of a report; None when its answer is unusable, which is counted."""
        answer = _parse(self._chat(self.prompt(text)))
        if isinstance(answer, str):
            self._failures[answer] += 1
            return None
        diseases = [self._disease(name) for name in answer["diseases"]]
        features = [self._feature(entry) for entry in answer["features"]]
        return Reading(
            dict.fromkeys(filter(None, features), LabelState.PRESENT),
            dict.fromkeys(filter(None, diseases), LabelState.PRESENT),
        )

    def _disease(self, name: object) -> str | None:
        known = self._diseases.get(name.strip().lower()) if isinstance(name, str) else None
        if known is None:
            self._ignored["disease of another name"] += 1
        return known

    def _feature(self, entry: object) -> str | None:
        content = entry if isinstance(entry, Mapping) else {}
        name = " ".join(str(content.get("name", "")).lower().split())
        category = self._categories.get(str(content.get("category", "")).lower())
        if category is None or not _NAME.fullmatch(name):
            self._ignored["feature of another category" if category is None else "feature without a plain name"] += 1
            return None
        words = (f"There is {name}.",), (f"There is no {name}.",)
        self._attributes.setdefault(name, Attribute(name, category, *words))
        return name


def _parse(answer: str) -> dict[str, Any] | str:
    """The object in an answer, or why there is none."""
    text = _FENCE.sub("", answer)
    start, end = text.find("{"), text.rfind("}")
    if start < 0:
        return "no JSON object"
    try:
        content = json.loads(text[start : end + 1])
    except json.JSONDecodeError:
        return "broken JSON"
    lists = isinstance(content, dict) and all(isinstance(content.get(k), list) for k in ("diseases", "features"))
    return content if lists else "not the agreed form"
