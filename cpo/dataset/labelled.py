"""Images with labels and no report, as the zero-shot benchmarks have them: what their readers share."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from cpo.dataset.base import Dataset
from cpo.dataset.intake import DamagedError, Media
from cpo.dataset.mimic_cxr import NO_FINDING
from cpo.errors import ConfigError, DataError
from cpo.records import Access, ImageRef, LabelState, Provenance, Sample, Trajectory

PROMPT = "Describe the findings of this chest radiograph, then name the disease of this patient."
"""The one of `mimic_cxr`: a policy trained there is asked here what it was asked in training."""

FILE_NAME = re.compile(r"\w[\w .+-]{0,149}", re.ASCII)


class LabelledImages(Dataset):
    """A release of images with labels. Its answers name the labels that are present, or No Finding.

    Args:
        name: See `Dataset`.
        root: See `Dataset`.
        access: See `Dataset`.
        prompt: The user's text, the same for every sample.
        media: See `Dataset`.
        quarantine_limit: See `Dataset`.
        index: See `Dataset`.
        knobs: See `Dataset`.

    Raises:
        ConfigError: A knob out of its range.
    """

    diseases: tuple[str, ...]
    """The labels of which at least one is present unless nothing was found."""

    def __init__(
        self,
        *,
        name: str,
        root: str,
        access: Access,
        prompt: str,
        media: Media,
        quarantine_limit: float,
        index: str,
        knobs: Mapping[str, Any],
    ) -> None:
        if not prompt.strip():
            raise ConfigError(got=f"prompt={prompt!r}", wanted="a prompt that is not empty", remedy="leave it as it is")
        super().__init__(
            name=name,
            root=root,
            access=access,
            media=media,
            quarantine_limit=quarantine_limit,
            index=index,
            knobs={"prompt": prompt, **knobs},
        )
        self._prompt = prompt

    def _sample(
        self,
        *,
        record: str,
        group: str,
        split: str,
        images: Sequence[ImageRef],
        labels: Mapping[str, LabelState],
        metadata: Mapping[str, str],
        at: tuple[str, int],
        thinking: str = "",
        counted: Collection[LabelState] = (LabelState.PRESENT,),
    ) -> Sample:
        """A sample whose answer names what is found.

        Args:
            record: Its id.
            group: See `Sample`.
            split: See `Sample`.
            images: See `Sample`.
            labels: See `Sample`.
            metadata: See `Sample`.
            at: Annotation file, relative to the root, and row.
            thinking: The report's text, where the release has one.
            counted: The states that count as found.
        """
        found = {name for name, state in labels.items() if state in counted} - {NO_FINDING}
        if not found.intersection(self.diseases):
            found.add(NO_FINDING)
        results = tuple(name for name in self.results if name in found)
        return Sample(
            id=record,
            group=group,
            split=split,
            images=tuple(images),
            prompt=self._prompt,
            factual=Trajectory(thinking, self.answers.write(results)),
            labels=labels,
            results=results,
            metadata=metadata,
            provenance=Provenance(self.name, at[0], str(at[1]), self._access),
        )

    def _file_name(self, path: object) -> str:
        return str(path).removeprefix(f"{self.root}/")


def listed(found: Sequence[str], names: Sequence[str], *, normal: bool) -> dict[str, LabelState]:
    """The states behind a list of what was found: a list says nothing of the rest, unless it says normal.

    Args:
        found: Names on the list.
        names: Every name there is.
        normal: Whether the release calls the image normal.

    Example:
        >>> listed(["Mass"], ["Mass", "Hernia"], normal=False)["Hernia"]
        <LabelState.UNMENTIONED: 'unmentioned'>
    """
    other = LabelState.ABSENT if normal and not found else LabelState.UNMENTIONED
    return {name: LabelState.PRESENT if name in found else other for name in names}


def split_of(group: str, shares: Mapping[str, float], rest: str) -> str:
    """The split of a group by a hash of its name: the same on any machine, whatever else is there.

    Args:
        group: Patient, report or image.
        shares: Expected share of the groups per split, in [0, 1], together at most 1.
        rest: The split of all others.

    Example:
        >>> [split_of(patient, {"validate": 0.5}, "train") for patient in ("1", "2", "3", "4")]
        ['validate', 'train', 'validate', 'validate']
    """
    place, edge = int(hashlib.sha256(group.encode()).hexdigest()[:12], 16) / 16**12, 0.0
    for split, share in shares.items():
        edge += share
        if place < edge:
            return split
    return rest


def check_shares(shares: Mapping[str, float]) -> None:
    """Refuses shares that are no shares.

    Raises:
        ConfigError: One outside [0, 1], or more than 1 together.
    """
    if all(0 <= share <= 1 for share in shares.values()) and sum(shares.values()) <= 1:
        return
    raise ConfigError(
        got=", ".join(f"{split}_share={share}" for split, share in shares.items()),
        wanted="shares in [0, 1], together at most 1",
        remedy="pass dataset.validate_share=0.1",
    )


def safe_name(name: str, what: str) -> str:
    """A file name as a release has them, never a path.

    Raises:
        DamagedError: Something else.
    """
    if not FILE_NAME.fullmatch(name):
        raise DamagedError(f"{what} is not a file name")
    return name


def lacking(root: object, what: str, layout: str, instead: str = "") -> DataError:
    """The error of a root without the release.

    Args:
        root: The folder.
        what: What was not found there.
        layout: What a copy holds.
        instead: A knob's value that reads what is there.
    """
    return DataError(
        got=f"{root}: {what}",
        wanted=layout,
        remedy=f"pass {instead or 'dataset.root=FOLDER'}, or finish the download; docs/datasets.md shows the layout",
    )
