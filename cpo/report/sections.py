"""The sections of a run's page: each turns a part of the run directory into blocks, or says that it is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from cpo.panels import PANELS
from cpo.report.blocks import Block, Cell, Code, Details, Facts, Notice, Row, Table, Text, Tile, Tiles
from cpo.report.examples import comparison
from cpo.report.figures import headline_figure, panel_figure
from cpo.report.headline import ALL, GLOSSARY, UNMEASURED, arms, concept_label, concepts, measures_of, shown
from cpo.report.record import RunRecord

EXAMPLES = 6
"""Pairs shown; the rest stays in `pairs_sample.jsonl`."""
TILES = 6
"""Measures that stand above the table; all stand in it."""
DAMAGED = 10
"""Damaged records listed by name."""
KEEP_HOME = {
    "credentialed": "This page shows texts and pictures of credentialed data. It must not leave this machine: "
    "PhysioNet's agreement forbids sharing them, derivatives included.",
    "": "The run does not say whether its data is open or credentialed. Treat this page as credentialed: "
    "it must not leave this machine.",
}
STAGE_FACTS = {
    "steps": "Optimiser steps",
    "seconds": "Seconds",
    "cached": "Taken from the cache",
    "pairs_per_second": "Pairs per second",
    "peak_memory_mb": "Peak memory, MB",
    "step0_loss": "Loss before the first step",
    "step0_margin_max_abs": "Largest margin before the first step",
    "reference_seconds": "Seconds for the reference’s log-probs, once",
}
LABEL_STATES = ("present", "absent", "uncertain", "unmentioned")


def result(run: RunRecord) -> Iterator[Block]:
    """The headline: tiles, intervals by concept, the whole table."""
    if run.access in KEEP_HOME:
        yield Notice(KEEP_HOME[run.access], tone="warning")
    evaluation = run.summary.get("eval") or {}
    names = arms(run.choices)
    if not evaluation:
        yield Notice("This run was not judged: its summary holds no evaluation.")
        return
    for arm, name in names.items():
        if arm not in evaluation:
            yield Notice(f"{name}: not part of this run, so nothing is compared with it.")
    if tiles := list(islice(_tiles(evaluation, names), TILES)):
        yield Text(f"{names['after']} on all held-out samples:")
        yield Tiles(tiles)
    if figure := headline_figure(evaluation, run.choices):
        yield figure
    yield headline_table(evaluation, names, run.summary.get("benchmarks"))


def headline_table(
    evaluation: Mapping[str, Mapping[str, Any]],
    names: Mapping[str, str],
    benchmarks: Mapping[str, Sequence[str]] | None = None,
) -> Table:
    """Arms side by side; for each concept a group of rows, one per measure."""
    there = [arm for arm in names if arm in evaluation]
    measures, unmeasured = measures_of(evaluation, benchmarks)
    rows = []
    for concept in concepts(evaluation):
        results = [evaluation[arm].get(concept, {}) for arm in there]
        rows.append(Row(concept_label(concept), [Cell(_size(results))], level="group"))
        for measure in measures:
            cells = [Cell(*shown(one.get(measure.key))) for one in results]
            if any(cell.text != UNMEASURED for cell in cells) and (not measure.detail or concept == ALL):
                rows.append(Row(measure.label, cells, level="sub" if measure.sub else "plain"))
    missing = f" Not measured in this run: {', '.join(m.key for m in unmeasured)}." if unmeasured else ""
    note = f"{GLOSSARY} In brackets: percentile bootstrap intervals that resample whole patients.{missing}"
    return Table(["", *(names[arm] for arm in there)], rows, caption="Held-out results by concept", note=note)


def what_was_run(run: RunRecord) -> Iterator[Block]:
    """Choices, overrides, stages, fingerprints, configuration."""
    if run.choices:
        seed = run.summary.get("seed")
        yield Facts([*run.choices.items(), ("seed", UNMEASURED if seed is None else str(seed))])
    else:
        yield Notice("The choices of this run are not recorded.")
    if run.overrides:
        yield Details("Overrides given on the command line", [Code("\n".join(run.overrides))])
    elif "overrides.yaml" not in run.absent:
        yield Text("No overrides were given on the command line.")
    stages = run.summary.get("stages") or {}
    if stages:
        facts = dict.fromkeys([*STAGE_FACTS, *(key for stage in stages.values() for key in stage)])
        rows = [
            Row(STAGE_FACTS.get(fact, fact), [Cell(_fact(stage.get(fact))) for stage in stages.values()])
            for fact in facts
            if any(fact in stage for stage in stages.values())
        ]
        yield Table(["", *stages], rows, caption="Stages")
    else:
        yield Notice("The stages of this run are not recorded.")
    if fingerprints := run.summary.get("fingerprints"):
        yield Details("Fingerprints: equal content, equal fingerprint", [Facts(_flat(fingerprints))])
    if run.config:
        yield Details("Resolved configuration", [Code(run.config)])
    yield from _absent(run, "config.yaml", "overrides.yaml")


def curves(run: RunRecord, group: str) -> Iterator[Block]:
    """The panels of one group."""
    for panel in PANELS:
        if panel.group == group:
            yield panel_figure(panel, run) or Notice(f"{panel.title}: no such metrics in this run.")
    if run.torn:
        yield Notice("The last row of the metrics is cut off: the run was being written, or was killed.")
    if any(panel.group == group and panel.kind == "band" for panel in PANELS):
        yield from _absent(run, "drift.json")
        if run.drift:
            yield Facts(_drift_facts(run.drift))


def examples(run: RunRecord) -> Iterator[Block]:
    """A few preference pairs with their edits marked, and how many counterfactuals were made and refused."""
    if made := run.summary.get("counterfactual"):
        yield Facts(_flat(made))
    yield from _absent(run, "pairs_sample.jsonl")
    if not run.pairs:
        return
    what = "another sample's trajectory" if run.choices.get("counterfactual") == "random" else "counterfactual"
    yield Text("Words that differ are marked: dotted in the chosen text, underlined in the rejected ones.")
    for i, pair in enumerate(run.pairs[:EXAMPLES], start=1):
        yield comparison(pair, i, what)


def quality(run: RunRecord) -> Iterator[Block]:
    """What the reader of the dataset saw."""
    yield from _absent(run, "data_quality.json")
    seen = run.quality
    if not seen:
        return
    damaged = seen.get("quarantined") or []
    yield Facts(
        [
            ("dataset", str(seen.get("dataset", UNMEASURED))),
            ("records", _fact(seen.get("records"))),
            ("samples", _fact(seen.get("samples"))),
            ("damaged records", _fact(len(damaged))),
            *((f"samples, {split}", _fact(count)) for split, count in (seen.get("by_split") or {}).items()),
        ]
    )
    if excluded := seen.get("excluded"):
        rows = [Row(reason, [Cell(_fact(count))]) for reason, count in excluded.items()]
        yield Table(["", "records"], rows, caption="Left out by the release's own rules")
    if damaged:
        rows = [Row(f"{one['file']}, {one['row']}", [Cell(one["reason"])]) for one in damaged[:DAMAGED]]
        note = f"{len(damaged) - DAMAGED} more stand in data_quality.json." if len(damaged) > DAMAGED else ""
        yield Table(["", "reason"], rows, caption="Damaged records, set aside", note=note)
    if labels := seen.get("labels"):
        rows = [Row(name, [Cell(_fact(states.get(s, 0))) for s in LABEL_STATES]) for name, states in labels.items()]
        yield Table(["", *LABEL_STATES], rows, caption="Labels: samples in each state")


def environment(run: RunRecord) -> Iterator[Block]:
    """Where it ran."""
    yield from _absent(run, "environment.json")
    plain = {key: value for key, value in run.environment.items() if not isinstance(value, Mapping)}
    if plain:
        yield Facts(_flat(plain))
    for key, value in run.environment.items():
        if isinstance(value, Mapping):
            yield Details(key, [Facts(_flat(value))])


def _tiles(evaluation: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]) -> Iterator[Tile]:
    others = [arm for arm in names if arm in evaluation and arm != "after"]
    for measure in measures_of(evaluation)[0]:
        value, detail = shown(evaluation.get("after", {}).get(ALL, {}).get(measure.key))
        if measure.sub or measure.detail or value == UNMEASURED or measure.key == "accuracy":
            continue
        against = [(names[arm], shown(evaluation[arm].get(ALL, {}).get(measure.key))[0]) for arm in others]
        yield Tile(measure.label, value, detail, against)


def _size(results: list[Mapping[str, Any]]) -> str:
    """How many samples and patients stand behind a group, where the intervals say so."""
    intervals = [one for result in results for one in result.values() if isinstance(one, Mapping) and "clusters" in one]
    if not intervals:
        return ""
    return f"{intervals[0]['n']} samples of {intervals[0]['clusters']} patients"


def _drift_facts(drift: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = ", ".join(concept["name"] for concept in drift.get("concepts", ()))
    spans = [(_fact(start), _fact(end)) for start, end in drift.get("changes") or ()]
    changes = ", ".join(start if start == end else f"{start} to {end}" for start, end in spans)
    return [
        ("concepts", names),
        ("changes, in samples", changes or "none"),
        ("samples in the stream", _fact(len(drift.get("concept_at") or ()))),
        ("samples left out by the shift", _fact(drift.get("left_out"))),
        *((f"shift {i}", _words(shift)) for i, shift in enumerate(drift.get("shifts") or (), start=1)),
    ]


def _absent(run: RunRecord, *files: str) -> Iterator[Block]:
    for file in files:
        if file in run.absent:
            yield Notice(f"There is no {file} in this run directory.")


def _flat(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(key, _words(value)) for key, value in values.items()]


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_words(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value)) or "none"
    return _fact(value)


def _fact(value: Any) -> str:
    if value is None:
        return UNMEASURED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    if isinstance(value, float):
        return (f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}").replace(",", "\u202f").replace("-", "−")
    return str(value)
