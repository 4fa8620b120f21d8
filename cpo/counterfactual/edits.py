"""Which words differ between a trajectory and its counterfactual."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher


@dataclass(frozen=True, slots=True)
class WordEdits:
    """Two texts as words, each word marked when the other text does not have it at this place.

    Args:
        before: `(word, edited)` of the factual text, in order; edited words were dropped or replaced.
        after: The same of the counterfactual text; edited words are new.
    """

    before: tuple[tuple[str, bool], ...]
    after: tuple[tuple[str, bool], ...]

    @property
    def ratio(self) -> float:
        """Edited words / words, both texts together: 0 for equal texts, 1 when they share nothing; nan for no words."""
        marks = [edited for _, edited in (*self.before, *self.after)]
        return sum(marks) / len(marks) if marks else float("nan")


def edited_words(before: str, after: str) -> WordEdits:
    """Word-level difference of two texts; words are what whitespace separates, punctuation and case included.

    Args:
        before: Factual text.
        after: Counterfactual text.

    Example:
        >>> edits = edited_words("Small left pleural effusion.", "Small left pneumothorax.")
        >>> [word for word, edited in edits.before if edited], [word for word, edited in edits.after if edited]
        (['pleural', 'effusion.'], ['pneumothorax.'])
        >>> round(edits.ratio, 3)  # (2 + 1) / (4 + 3)
        0.429
    """
    old, new = before.split(), after.split()
    kept_old, kept_new = set[int](), set[int]()
    # autojunk would treat the frequent words of a text over 200 words as noise and mark them all as edited
    for block in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        kept_old.update(range(block.a, block.a + block.size))
        kept_new.update(range(block.b, block.b + block.size))
    return WordEdits(
        before=tuple((word, i not in kept_old) for i, word in enumerate(old)),
        after=tuple((word, i not in kept_new) for i, word in enumerate(new)),
    )
