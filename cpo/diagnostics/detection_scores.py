"""What a detector's alarms are worth on a stream whose drifts are known.

A drift from `start` to `end` is found by an alarm in its window `[start, end + max_delay]`, both ends included; other
alarms are false. Statistics of nothing are nan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from cpo.errors import ConfigError, DataError

Change = tuple[int, int]


@dataclass(frozen=True, slots=True)
class DetectionScores:
    """How drifts were found.

    Args:
        drifts: How many there are.
        alarms: How many were raised.
        false_alarms: How many of them lie in no window.
        precision: Share of alarms in a window; nan without an alarm.
        episode_recall: Share of drifts with at least one alarm in their window; nan without a drift.
        detection_delay: Samples from a drift's start to its first alarm, on average over those found; nan if none was.
        false_alarm_rate: False alarms per `period` samples outside all windows; nan without such samples.
    """

    drifts: int
    alarms: int
    false_alarms: int
    precision: float
    episode_recall: float
    detection_delay: float
    false_alarm_rate: float

    def as_dict(self) -> dict[str, float | None]:
        """As JSON has it: nan is null."""
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(self).items()}


def score_alarms(
    alarms: Sequence[int], changes: Sequence[Change], n: int, *, max_delay: int, period: int = 1000
) -> DetectionScores:
    """Scores alarms against the truth of a stream.

    An alarm belongs to the earliest window it lies in, and of several in a window the first makes the delay; the others
    are no false alarms. Drifts that were missed do not enter the delay: read it beside `episode_recall`. A drift whose
    start is the end of the stream never came, and is left out.

    Args:
        alarms: Positions at which the detector fired, in order.
        changes: `DriftTruth.changes`: `(start, end)` of each drift, in order.
        n: Length of the stream, ≥ 1.
        max_delay: How long after its end a drift may still be found, ≥ 1.
        period: Samples that the false alarm rate is quoted for, ≥ 1.

    Raises:
        ConfigError: `max_delay` or `period` below 1.
        DataError: Alarms or changes outside the stream or out of order.

    Source:
        CapyMOA's `EvaluateDriftDetector` and river's `drift.evaluate`. They divide false alarms by the whole stream;
        we divide by the samples at which an alarm would have been false, so that streams with more drift compare, and
        alarms after the last window count, which CapyMOA leaves out.

    Example:
        Windows [100, 150] and [500, 650] leave 1000 − 51 − 151 = 798 samples; the alarm at 900 is false.

        >>> scores = score_alarms([110, 130, 900], [(100, 100), (500, 600)], 1000, max_delay=50, period=798)
        >>> scores.episode_recall, scores.detection_delay, round(scores.precision, 2), scores.false_alarm_rate
        (0.5, 10.0, 0.67, 1.0)
    """
    _check(alarms, changes, n, max_delay, period)
    windows = [(start, min(end + max_delay, n - 1)) for start, end in changes if start < n]
    first: dict[int, int] = {}
    false = 0
    for alarm in alarms:
        window = next((i for i, (low, high) in enumerate(windows) if low <= alarm <= high), None)
        if window is None:
            false += 1
        else:
            first.setdefault(window, alarm)
    delays = [alarm - windows[i][0] for i, alarm in first.items()]
    quiet = n - len({position for low, high in windows for position in range(low, high + 1)})
    return DetectionScores(
        drifts=len(windows),
        alarms=len(alarms),
        false_alarms=false,
        precision=_ratio(len(alarms) - false, len(alarms)),
        episode_recall=_ratio(len(first), len(windows)),
        detection_delay=_ratio(sum(delays), len(delays)),
        false_alarm_rate=_ratio(false * period, quiet),
    )


def _ratio(part: float, whole: int) -> float:
    return part / whole if whole else math.nan


def _check(alarms: Sequence[int], changes: Sequence[Change], n: int, max_delay: int, period: int) -> None:
    if max_delay < 1 or period < 1:
        raise ConfigError(
            got=f"max_delay={max_delay}, period={period}", wanted="1 or more", remedy="pass max_delay=200 period=1000"
        )
    ordered = list(alarms) == sorted(alarms) and list(changes) == sorted(changes)
    inside = all(0 <= a < n for a in alarms) and all(0 <= start <= end <= n for start, end in changes)
    if n < 1 or not ordered or not inside:
        raise DataError(
            got=f"{len(alarms)} alarms and {len(changes)} changes that do not lie in order within {n} samples",
            wanted="positions of the stream that the truth describes, in order",
            remedy="score alarms against the truth of the stream that was watched, in samples",
        )
