"""Generated completions, kept as JSONL beside the scores.

An interrupted judgement goes on, and metrics can be computed again without the policy.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cpo.errors import DataError
from cpo.evaluation.benchmark import CONSOLE
from cpo.policy.loaded import LoadedPolicy
from cpo.records import Sample, fingerprint


class Predictions:
    """The completions of one judgement, appended to a file as they are made.

    The file stays in the run directory: it holds texts about the samples. A torn last line, which a killed process
    leaves, is dropped and made again.

    Args:
        file: JSONL with rows `{id, key, text}`; the key tells the sample and the way of generating.
        frozen: Read it only: a missing completion is an error.
    """

    def __init__(self, file: Path, *, frozen: bool = False) -> None:
        self.file, self.frozen = file, frozen
        self._known: dict[str, str] = {}
        if file.is_file():
            for line in file.read_text(encoding="utf-8").splitlines():
                try:
                    row = json.loads(line)
                    self._known[row["key"]] = row["text"]
                except (json.JSONDecodeError, KeyError, TypeError):
                    continue

    def of(
        self,
        policy: LoadedPolicy | None,
        samples: Sequence[Sample],
        *,
        batch_size: int,
        max_new_tokens: int,
        progress: bool,
        what: str,
    ) -> list[str]:
        """One greedy completion per sample, generated only where the file has none.

        Args:
            policy: Generates; None when the file has to hold all.
            samples: To complete.
            batch_size: Samples per batch.
            max_new_tokens: Longest completion.
            progress: Show a progress bar with tokens per second.
            what: Its description.

        Raises:
            DataError: A completion is missing and none may be made.
        """
        keys = [_key(sample, max_new_tokens) for sample in samples]
        missing = [n for n, key in enumerate(keys) if key not in self._known]
        if missing and (policy is None or self.frozen):
            raise DataError(
                got=f"{self.file.name} without the completions of {len(missing)} of {len(samples)} samples",
                wanted="one for every sample that is judged",
                remedy="judge by the policy: python evaluate.py run=DIR, without from=predictions",
            )
        if missing and policy is not None:
            self._generate(policy, samples, keys, missing, batch_size, max_new_tokens, progress=progress, what=what)
        return [self._known[key] for key in keys]

    def _generate(
        self,
        policy: LoadedPolicy,
        samples: Sequence[Sample],
        keys: Sequence[str],
        missing: Sequence[int],
        batch_size: int,
        max_new_tokens: int,
        *,
        progress: bool,
        what: str,
    ) -> None:
        todo = [samples[n] for n in missing]
        tokens, began = 0, time.perf_counter()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        hidden = not (progress and CONSOLE.is_terminal)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        _end_line(self.file)
        with (
            self.file.open("a", encoding="utf-8") as file,
            Progress(*columns, console=CONSOLE, transient=True, disable=hidden) as bar,
        ):
            task = bar.add_task(what, total=len(todo))
            at = 0
            for texts in policy.completions(todo, batch_size=batch_size, max_new_tokens=max_new_tokens):
                for text in texts:
                    number = missing[at]
                    self._known[keys[number]] = text
                    row = {"id": samples[number].id, "key": keys[number], "text": text}
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    at += 1
                file.flush()
                os.fsync(file.fileno())
                if not hidden:
                    tokens += sum(map(len, policy.encoder.tokenizer(texts, add_special_tokens=False)["input_ids"]))
                    rate = tokens / (time.perf_counter() - began)
                    bar.update(task, completed=at, description=f"{what} ({rate:,.0f} tokens/s)")


def _key(sample: Sample, max_new_tokens: int) -> str:
    images = [image.fingerprint for image in sample.images]
    return fingerprint([sample.id, sample.prompt, images, max_new_tokens, "greedy"])


def _end_line(file: Path) -> None:
    """Ends a torn last line, so that what is appended starts a line of its own."""
    if file.is_file() and (content := file.read_bytes()) and not content.endswith(b"\n"):
        with file.open("ab") as handle:
            handle.write(b"\n")
