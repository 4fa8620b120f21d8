"""Open-i (Indiana University) films and reports in either packaging; one sample per image, all views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

from cpo.answers import ListedAnswer
from cpo.dataset.base import one_of
from cpo.dataset.intake import DamagedError, ExcludedError, Intake, Media
from cpo.dataset.labelled import PROMPT, LabelledImages, check_shares, listed, split_of
from cpo.dataset.mimic_cxr import ANSWER, NO_FINDING
from cpo.dataset.open_i_release import (
    Image,
    Packaging,
    Report,
    find_images,
    find_packaging,
    parse_report,
    read_documents,
    read_tables,
)
from cpo.errors import ConfigError
from cpo.records import Access, Sample

Terms = Literal["auto", "automatic", "major"]

PHRASES = {
    "Atelectasis": ("atelectasis", "atelectases"),
    "Cardiomegaly": ("cardiomegaly",),
    "Effusion": ("effusion",),
    "Infiltration": ("infiltration", "infiltrate"),
    "Mass": ("mass",),
    "Nodule": ("nodule",),
    "Pneumonia": ("pneumonia",),
    "Pneumothorax": ("pneumothorax",),
    "Edema": ("edema",),
    "Emphysema": ("emphysema",),
    "Fibrosis": ("fibrosis",),
    # the last as the indexers' terms have it
    "Pleural_Thickening": ("pleural_thickening", "pleural thickening", "thickening/pleura"),
    "Hernia": ("hernia",),
    "Fracture": ("fracture",),
    "Opacity": ("opacity",),
    "Lesion": ("lesion",),
    "Calcified Granuloma": ("calcified granuloma",),
    "Granuloma": ("granuloma",),
}
"""CARZero's 18 labels, and what is looked for in a report's terms: anywhere, in lower case. So Granuloma holds
Calcified Granuloma and granulomatous disease too."""

NORMAL = "normal"
SIZES = {"xml": {"records": 3_955, "samples": 7_470}, "kaggle": {"records": 3_851, "samples": 7_466}}
"""Reports and images of each packaging, as released."""


class OpenI(LabelledImages):
    """Reads the library's XML files or Kaggle's tables: findings as thinking, CARZero's 18 labels as the answer.

    A report without a findings section has no thinking. The release names no patients and no splits: a report is its
    own group, divided by a hash, and by default all of them test.

    Args:
        name: See `Dataset`.
        root: Folder with either packaging and the films.
        access: See `Dataset`.
        prompt: The user's text, the same for every sample.
        packaging: `xml`, `kaggle`, or `auto` for whichever is there, XML first.
        terms: Terms in which labels are looked for: `automatic` (a program's, as CARZero), `major` (the indexers'), or
            `auto` for the automatic ones where the packaging has them, which Kaggle's has not.
        train_share: Expected share of the reports for training, in [0, 1].
        validate_share: Expected share of the reports for validation, in [0, 1].
        media: See `Dataset`.
        quarantine_limit: See `Dataset`.
        index: See `Dataset`.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Demner-Fushman et al., JAMIA 2016; labels as in CARZero, arXiv 2402.17417.
    """

    labels = scored = diseases = tuple(PHRASES)
    answers = ListedAnswer(ANSWER, (*PHRASES, NO_FINDING))

    def __init__(
        self,
        *,
        name: str,
        root: str,
        access: Access,
        prompt: str = PROMPT,
        packaging: Packaging = "auto",
        terms: Terms = "auto",
        train_share: float = 0.0,
        validate_share: float = 0.0,
        media: Media = "required",
        quarantine_limit: float = 0.01,
        index: str = "",
    ) -> None:
        one_of("packaging", packaging, get_args(Packaging))
        one_of("terms", terms, get_args(Terms))
        self._shares = {"train": train_share, "validate": validate_share}
        check_shares(self._shares)
        super().__init__(
            name=name,
            root=root,
            access=access,
            prompt=prompt,
            media=media,
            quarantine_limit=quarantine_limit,
            index=index,
            knobs={"packaging": packaging, "terms": terms, **self._shares},
        )
        self._packaging, self._terms = packaging, terms

    def annotations(self) -> Sequence[Path]:
        """See `Dataset.annotations`."""
        return find_packaging(self.root, self._packaging)[1]

    def read(self, intake: Intake) -> Iterator[Sample]:
        """See `Dataset.read`."""
        packaging, files = find_packaging(self.root, self._packaging)
        terms, films, seen = self._terms_of(packaging), find_images(self.root), set[str]()
        counts = Counter[str](reports_without_findings=0)
        for report in self._reports(packaging, files, intake):
            counts["reports_without_findings"] += not report.findings
            found = labels_in(report.automatic if terms == "automatic" else report.major)
            labels = listed(found, tuple(PHRASES), normal=[term.lower() for term in report.major] == [NORMAL])
            file = report.file if packaging == "xml" else files[1].name
            for image in report.images:
                with intake.record(file, image.row):
                    check(image, report, seen)
                    yield self._sample(
                        record=image.id,
                        group=report.uid,
                        split=split_of(report.uid, self._shares, "test"),
                        images=[intake.image(films.get(image.id, self.root / "images" / f"{image.id}.png"))],
                        labels=labels,
                        metadata={
                            "view": image.view,
                            "terms": "; ".join(report.major),
                            "impression": report.impression,
                        },
                        at=(file, image.row),
                        thinking=report.findings,
                    )
        intake.details |= {
            "packaging": packaging,
            "labels_from": f"{terms} terms",
            "published": SIZES[packaging],
            **counts,
        }

    def _terms_of(self, packaging: str) -> str:
        if packaging == "kaggle" and self._terms == "automatic":
            raise ConfigError(
                got="terms=automatic of the Kaggle packaging",
                wanted="terms that it has: the indexers' (its column MeSH)",
                remedy="pass dataset.terms=major, or use the library's XML files",
            )
        return self._terms if self._terms != "auto" else "automatic" if packaging == "xml" else "major"

    def _reports(self, packaging: str, files: Sequence[Path], intake: Intake) -> Iterator[Report]:
        """The reports that have images; the others are counted."""
        if packaging == "kaggle":
            reports = read_tables(files, intake.quarantine)
            intake.records = len(reports) + sum(q.file == files[0].name for q in intake.quarantine.records)
            for report in reports:
                with intake.record(report.file, report.row):
                    yield with_images(report)
            return
        intake.records, seen = 0, set[str]()
        for file, content in read_documents(self.root, files):
            intake.records += 1
            with intake.record(file, 1):
                report = parse_report(content, file)
                if report.uid in seen:
                    raise DamagedError("report listed before")
                seen.add(report.uid)
                yield with_images(report)


def labels_in(terms: Sequence[str]) -> list[str]:
    """The labels of which a phrase occurs somewhere in the terms.

    Example:
        >>> labels_in(["Calcified Granuloma", "Infiltrates"])
        ['Infiltration', 'Calcified Granuloma', 'Granuloma']
    """
    joined = "|".join(terms).lower()
    return [label for label, phrases in PHRASES.items() if any(phrase in joined for phrase in phrases)]


def check(image: Image, report: Report, seen: set[str]) -> None:
    """Refuses what is no image of a report, or was one before; notes the others as seen.

    Raises:
        DamagedError: It is.
    """
    if not image.id.startswith(f"{report.uid}_"):
        raise DamagedError("image without a name, or with that of another report")
    if image.id in seen:
        raise DamagedError("image listed before")
    seen.add(image.id)


def with_images(report: Report) -> Report:
    """A report as it is.

    Raises:
        ExcludedError: It has no image.
    """
    if not report.images:
        raise ExcludedError("report without an image")
    return report
