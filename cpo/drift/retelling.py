"""Answers told anew where a shift has changed the results that they name."""

from __future__ import annotations

import dataclasses

from cpo.answers import AnswerFormat
from cpo.errors import DataError
from cpo.records import Sample


def retold(before: Sample, after: Sample, answers: AnswerFormat | None = None) -> Sample:
    """A shifted sample whose answer names its results.

    Args:
        before: As the dataset has it.
        after: As the shifts have left it.
        answers: How the dataset's answers name results; None for names joined by commas, in place of those there.

    Raises:
        DataError: The answer is not what the format writes; without a format, does not hold the joined names once.
    """
    if after.results == before.results:
        return after
    told, old = before.factual.answer, ", ".join(before.results)
    if answers is not None:
        fits, answer = answers.write(before.results) == told, answers.write(after.results)
    else:
        fits, answer = told.count(old) == 1, told.replace(old, ", ".join(after.results))
    if not fits:
        raise DataError(
            got="an answer in other words than those that name its results",
            wanted="one that can be told anew without giving itself away by its words",
            remedy="use a dataset with answers of one form, or a shift that leaves results as they are",
        )
    return dataclasses.replace(after, factual=dataclasses.replace(after.factual, answer=answer))
