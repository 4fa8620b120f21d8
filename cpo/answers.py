"""Answers as text: which results a sentence names, and the sentence that names given results."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from cpo.errors import ConfigError, DataError

OPEN, CLOSE = "<think>", "</think>"


class Malformed(StrEnum):
    """Why a completion cannot be read. It is a category of its own, never dropped."""

    TAGS = "tags"
    """Not exactly one `<think>` followed by exactly one `</think>`."""
    SENTENCE = "sentence"
    """What follows the thinking is not one answer sentence."""
    NAMES = "names"
    """The answer sentence names nothing, or something that is not among the results."""


class AnswerFormat(ABC):
    """How a dataset's answers name results.

    Args:
        results: Every name there is, in the order in which answers give them.
    """

    def __init__(self, results: Sequence[str]) -> None:
        if not results or len(set(results)) != len(results):
            raise ConfigError(
                got=f"results {list(results)}", wanted="distinct names", remedy="name each result exactly once"
            )
        self.results = tuple(results)

    @abstractmethod
    def write(self, results: Iterable[str]) -> str:
        """The answer that names these results, in the dataset's order.

        Raises:
            DataError: None, or one that is not among the dataset's.
        """

    @abstractmethod
    def read(self, answer: str) -> frozenset[str] | Malformed:
        """The results that an answer, without its thinking, names, or why it cannot be read."""

    def read_completion(self, text: str, *, thinking: bool = True) -> frozenset[str] | Malformed:
        """The results that a completion names, or why it cannot be read.

        Args:
            text: The completion, special tokens removed.
            thinking: Whether it must open with a thinking between its tags; else it may.

        Example:
            >>> results = ["Lung Opacity", "Pleural Effusion", "Pleural Other"]
            >>> answers = ListedAnswer("The disease of this patient is {}.", results)
            >>> found = answers.read_completion(
            ...     "<think> Blunt left angle. </think> The disease of this patient is Pleural Effusion, Lung Opacity."
            ... )
            >>> sorted(found)
            ['Lung Opacity', 'Pleural Effusion']
            >>> answers.read_completion("<think> Clear lungs. </think> The disease of this patient is Gout.")
            <Malformed.NAMES: 'names'>
        """
        before, opened, inside = text.partition(OPEN)
        _, closed, after = inside.partition(CLOSE)
        if not thinking and OPEN not in text and CLOSE not in text:
            return self.read(text)
        if not opened or not closed or before.strip() or text.count(OPEN) > 1 or text.count(CLOSE) > 1:
            return Malformed.TAGS
        return self.read(after)

    def _ordered(self, results: Iterable[str]) -> tuple[str, ...]:
        named = set(results)
        if not named or not named <= set(self.results):
            raise DataError(
                got=f"an answer that names {sorted(named)}",
                wanted=f"one or more of {', '.join(self.results)}",
                remedy="correct the name, or use the dataset that has it",
            )
        return tuple(name for name in self.results if name in named)


class ListedAnswer(AnswerFormat):
    """One sentence with the names joined by commas.

    Reading forgives case, white space and the final stop; a name said twice counts once, and nothing may follow.

    Args:
        sentence: With `{}` where the names stand.
        results: See `AnswerFormat`.

    Example:
        >>> answers = ListedAnswer("The disease of this patient is {}.", ["Atelectasis", "Edema"])
        >>> answers.write({"Edema", "Atelectasis"})
        'The disease of this patient is Atelectasis, Edema.'
        >>> sorted(answers.read("the disease of this patient is edema"))
        ['Edema']
    """

    def __init__(self, sentence: str, results: Sequence[str]) -> None:
        super().__init__(results)
        if sentence.count("{}") != 1:
            raise ConfigError(
                got=f"answer sentence {sentence!r}", wanted="one {} for the names", remedy="write it as 'It is {}.'"
            )
        self.sentence = sentence
        head, tail = (re.escape(part.strip().rstrip(".")) for part in sentence.split("{}"))
        self._pattern = re.compile(rf"\s*{head}\s(.*?){tail}\.?\s*", re.IGNORECASE | re.DOTALL)
        # the longest name first, since one may begin another
        self._spelt = {_plain(name): name for name in self.results}
        names = "|".join(re.escape(name) for name in sorted(self._spelt, key=len, reverse=True))
        self._name = re.compile(rf" ?({names}) ?,")

    def write(self, results: Iterable[str]) -> str:
        """See `AnswerFormat.write`."""
        return self.sentence.format(", ".join(self._ordered(results)))

    def read(self, answer: str) -> frozenset[str] | Malformed:
        """See `AnswerFormat.read`."""
        stated = self._pattern.fullmatch(answer)
        if stated is None:
            return Malformed.SENTENCE
        rest, found = _plain(stated[1]) + ",", set()
        while rest:
            name = self._name.match(rest)
            if name is None:
                return Malformed.NAMES
            found.add(self._spelt[name[1]])
            rest = rest[name.end() :]
        return frozenset(found) or Malformed.NAMES


class PhrasedAnswer(AnswerFormat):
    """Free text in which a result counts as named when one of its phrases occurs, as whole words.

    Of two phrases where one contains the other only the longer counts at that place.

    Args:
        sentence: What `write` fills, with `{}` where the phrases stand, joined by `and`.
        phrases: For each result its phrases; the first is the one that is written.

    Example:
        >>> answers = PhrasedAnswer("The car {}.", {"stop": ["stops", "stopped"], "turn left": ["turns left"]})
        >>> answers.write(["turn left", "stop"])
        'The car stops and turns left.'
        >>> sorted(answers.read("The car has stopped at the light."))
        ['stop']
        >>> answers.read("It rains.")
        <Malformed.NAMES: 'names'>
    """

    def __init__(self, sentence: str, phrases: Mapping[str, Sequence[str]]) -> None:
        super().__init__(tuple(phrases))
        self.sentence, self.phrases = sentence, {name: tuple(said) for name, said in phrases.items()}
        if silent := [name for name, said in self.phrases.items() if not said]:
            raise ConfigError(
                got=f"result {silent[0]!r} without a phrase", wanted="at least one", remedy="give it one, or drop it"
            )
        self._means = {_plain(phrase): name for name, said in self.phrases.items() for phrase in said}
        longest = sorted(self._means, key=len, reverse=True)
        self._pattern = re.compile("|".join(rf"\b{re.escape(phrase)}\b" for phrase in longest))

    def write(self, results: Iterable[str]) -> str:
        """See `AnswerFormat.write`."""
        return self.sentence.format(" and ".join(self.phrases[name][0] for name in self._ordered(results)))

    def read(self, answer: str) -> frozenset[str] | Malformed:
        """See `AnswerFormat.read`."""
        found = frozenset(self._means[phrase] for phrase in self._pattern.findall(_plain(answer)))
        return found or Malformed.NAMES


class FreeAnswer(AnswerFormat):
    """Free text that names no result: what datasets of pairs have that are not about any.

    Example:
        >>> FreeAnswer().read("It rains.")
        frozenset()
        >>> FreeAnswer().read(" ")
        <Malformed.SENTENCE: 'sentence'>
    """

    def __init__(self) -> None:
        self.results = ()

    def write(self, results: Iterable[str]) -> str:
        """See `AnswerFormat.write`: there is no result to name."""
        raise DataError(
            got=f"free text to be written for {sorted(results)}",
            wanted="a dataset whose answers name results",
            remedy="give the dataset its answer sentence and its results",
        )

    def read(self, answer: str) -> frozenset[str] | Malformed:
        """See `AnswerFormat.read`."""
        return frozenset() if answer.strip() else Malformed.SENTENCE


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
