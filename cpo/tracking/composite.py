"""Several trackers as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cpo.records import Exhibitor, Exhibits, Tracker


class CompositeTracker:
    """Hands everything to each of its trackers, in order.

    An error of one tracker does not keep the others from hearing of the same step or from being closed; it is raised
    when all have been served.

    Args:
        trackers: The local one first: it is the source of truth.
    """

    def __init__(self, *, trackers: Sequence[Tracker]) -> None:
        self.trackers = tuple(trackers)

    def log(self, metrics: Mapping[str, float], *, stage: str, step: int) -> None:
        """See `records.Tracker`."""
        self._each(lambda tracker: tracker.log(metrics, stage=stage, step=step))

    def rewind(self, *, stage: str, step: int) -> None:
        """See `records.Tracker`."""
        self._each(lambda tracker: tracker.rewind(stage=stage, step=step))

    def summary(self, values: Mapping[str, Any]) -> None:
        """See `records.Tracker`."""
        self._each(lambda tracker: tracker.summary(values))

    def exhibit(self, exhibits: Exhibits) -> None:
        """See `records.Exhibitor`; trackers that show numbers only are left out."""
        self._each(lambda tracker: show(tracker, exhibits))

    def finish(self) -> None:
        """See `records.Tracker`."""
        self._each(lambda tracker: tracker.finish())

    def _each(self, act: Callable[[Tracker], None]) -> None:
        errors = []
        for tracker in self.trackers:
            try:
                act(tracker)
            except Exception as error:  # whatever it is, the others must still be served
                errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup("several trackers failed", errors)


def show(tracker: Tracker, exhibits: Exhibits) -> None:
    """Hands a tracker what a finished run has to show, if it can show it."""
    if isinstance(tracker, Exhibitor):
        tracker.exhibit(exhibits)
