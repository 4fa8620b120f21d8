"""Swaps of a few words in a thinking: harmless ones that the concept graph licenses, and any to hold them against."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from cpo.errors import ConfigError
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph

_GAP = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"\w+(?:[-'’]\w+)*")


@dataclass(frozen=True, slots=True)
class Swap:
    """Words that take the place of others.

    Args:
        start: Character of the thinking at which the old words begin.
        end: Character behind them.
        words: The new ones.

    Example:
        >>> swap = Swap(7, 14, "lung opacity")
        >>> swap.applied("A hazy opacity is seen."), swap.prefix("A hazy opacity is seen.")
        ('A hazy lung opacity is seen.', 'A hazy lung opacity')
    """

    start: int
    end: int
    words: str

    def __post_init__(self) -> None:
        assert 0 <= self.start <= self.end

    def applied(self, text: str) -> str:
        """The text with the new words, all else as it was."""
        return text[: self.start] + self.words + text[self.end :]

    def prefix(self, text: str) -> str:
        """The text up to and with the new words: where a policy goes on."""
        return text[: self.start] + self.words


class Synonyms:
    """Harmless swaps: one mention of a finding in another wording that means the same.

    In a sentence that the graph reads, the attribute, its state, side and severity stay, and only the wording changes.
    In any other sentence whole words are swapped by a table, in both directions.

    Args:
        graph: A shipped concept graph by name, or the path of a JSON file.
        table: Near-synonyms, word for word.

    Raises:
        ConfigError: An empty word in the table.
        DataError: The graph is not found or not a concept graph.

    Source:
        Figure 1 of arXiv 2505.13081, where "opacity" for "lung opacity" in one thinking moves the diagnosis.

    Example:
        >>> swaps = Synonyms("chest", {"opacity": "lung opacity"})
        >>> text = "The heart is mildly enlarged. Opacity at the left base."
        >>> rng = np.random.default_rng(0)
        >>> sorted(text[s.start : s.end] + " / " + s.words for s in swaps.draw(text, 2, rng))
        ['Opacity / Lung opacity', 'heart / cardiac silhouette']
    """

    def __init__(self, graph: str, table: Mapping[str, str]) -> None:
        if not all(word.strip() for word in (*table, *table.values())):
            raise ConfigError(
                got=f"synonyms={dict(table)}", wanted="words on both sides", remedy="leave the empty ones out"
            )
        self._lexicon = Lexicon(ConceptGraph.load(graph))
        lower = {old.lower(): new.lower() for old, new in table.items()}
        self._other = {**{new: old for old, new in lower.items()}, **lower}
        # the longer term first, since "opacity" stands in "lung opacity" too
        terms = sorted(self._other, key=len, reverse=True)
        self._terms = re.compile("|".join(rf"\b{re.escape(term)}\b" for term in terms), re.IGNORECASE)

    def draw(self, text: str, count: int, rng: np.random.Generator) -> list[Swap]:
        """At most so many swaps, each of another mention, in the order of the text."""
        mentions = [choices for choices in self.mentions(text) if choices]
        chosen = sorted(rng.permutation(len(mentions))[:count].tolist())
        return [mentions[n][int(rng.integers(len(mentions[n])))] for n in chosen]

    def mentions(self, text: str) -> Iterator[list[Swap]]:
        """For each mention in a text its swaps, of which none may exist."""
        for start, end in sentences(text):
            sentence = text[start:end]
            read = self._lexicon.mentions(sentence)
            if read:
                yield [tight(start, sentence, other) for other in self._other_wordings(sentence)]
            elif self._other:
                for found in self._terms.finditer(sentence):
                    yield [Swap(start + found.start(), start + found.end(), self._swapped(found[0]))]

    def _other_wordings(self, sentence: str) -> list[str]:
        mentions = self._lexicon.mentions(sentence)
        if len(mentions) != 1:  # no wording of the graph says two things
            return []
        (m,) = mentions
        count = self._lexicon.choices(m.attribute, m.state)
        written = [self._lexicon.write(m.attribute, m.state, m.side, m.severity, wording=n) for n in range(count)]
        said = " ".join(sentence.split()).lower()
        return [other for other in written if other.lower() != said]

    def _swapped(self, word: str) -> str:
        new = self._other[word.lower()]
        return new[:1].upper() + new[1:] if word[:1].isupper() else new


def word_swaps(text: str, count: int, pool: Sequence[str], rng: np.random.Generator) -> list[Swap]:
    """At most so many words of a text, each swapped for another one drawn from a pool, in the order of the text.

    They need not be harmless: they tell how much of an effect any word has.

    Example:
        >>> word_swaps("No effusion.", 2, ["effusion", "large"], np.random.default_rng(0))
        [Swap(start=0, end=2, words='large'), Swap(start=3, end=11, words='large')]
    """
    places = [(found.start(), found.end()) for found in _WORD.finditer(text)]
    swaps = []
    for n in sorted(rng.permutation(len(places))[:count].tolist()):
        start, end = places[n]
        others = [word for word in pool if word.lower() != text[start:end].lower()]
        if others:
            swaps.append(Swap(start, end, others[int(rng.integers(len(others)))]))
    return swaps


def words_of(texts: Sequence[str]) -> list[str]:
    """Every word of some texts once, in alphabetical order.

    Example:
        >>> words_of(["No effusion.", "No mass, no effusion."])
        ['No', 'effusion', 'mass', 'no']
    """
    return sorted({word for text in texts for word in _WORD.findall(text)})


def sentences(text: str) -> list[tuple[int, int]]:
    """Where each sentence of a text begins and ends, in characters.

    Example:
        >>> sentences("Clear lungs.  No mass.")
        [(0, 12), (14, 22)]
    """
    gaps = [(found.start(), found.end()) for found in _GAP.finditer(text)]
    starts = [0, *(end for _, end in gaps)]
    ends = [*(start for start, _ in gaps), len(text)]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if text[start:end].strip()]


def tight(start: int, old: str, new: str) -> Swap:
    """A swap of only those words in which two sentences differ, the first of which begins at a character.

    Example:
        >>> tight(10, "The heart is mildly enlarged.", "The cardiac silhouette is mildly enlarged.")
        Swap(start=14, end=19, words='cardiac silhouette')
    """
    head = _whole_words_in_common(old, new)
    rest, words = old[head:], new[head:]
    tail = _whole_words_in_common(rest[::-1], words[::-1])
    return Swap(start + head, start + len(old) - tail, words[: len(words) - tail])


def _whole_words_in_common(one: str, other: str) -> int:
    """Characters at the beginning of both, up to and with the last space among them."""
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    return one[:alike].rfind(" ") + 1
