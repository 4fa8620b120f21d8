"""Drift behind thinking in a run's page: what was measured, early answering by arm, and thinkings to point at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cpo.errors import DataError
from cpo.report.blocks import Block, Cell, Details, Figure, Row, Table, Text, Thinking, Tile, Tiles, Token, Track
from cpo.report.examples import picture_of
from cpo.report.headline import ALL, THINKING, UNMEASURED, arms, concept_label, concepts, shown
from cpo.report.record import RunRecord
from cpo.report.style import DASHES, as_json, colour, new_figure, short

FILE = "thinking_drift/thinking.json"
"""In `eval/<phase>/`: curves and examples, as the benchmark `thinking_drift` keeps them."""
TOP = 5
"""Results of an example that are drawn by themselves."""
WEAKEST = 0.05
"""Bits that get the full colour at least: below, a thinking that moves nothing would look as if it did."""
HEADINGS = {"as_written": "As written", "forced": "Rest forced", "continued": "The policy goes on"}
TILES = {
    "synonym_changes_forced": "Harmless swaps that change the diagnosis",
    "synonym_changes_continued": "The same, the policy going on",
    "thinking_decided_at": "Decided at, share of the thinking",
    "thinking_early_area": "Area over early answering",
}
GLOSSARY = (
    "Drift: Jensen–Shannon divergence between the distributions over results at one cut and the next, summed. Decided "
    "at: from there on the final result leads for good. Area: over the curve above; 0 when thinking changes nothing. "
    "A harmless swap says the same finding in other words, with the rest of the thinking forced or the policy going on "
    "from there; the diagnosis is the likeliest single result. In brackets: 95 % bootstrap intervals "
    "by patient; where none of n changed they collapse to 0, and rates up to about 3 / n remain possible."
)


def thinking(run: RunRecord) -> Iterator[Block]:
    """What the benchmark found, by arm, and examples of the last arm judged; nothing if it did not run.

    Raises:
        DataError: What it kept is damaged.
    """
    names = arms(run.choices)
    kept = {arm: _read(run.directory / "eval" / arm / FILE) for arm in names}
    found = {arm: content for arm, content in kept.items() if content is not None}
    if not found:
        return
    last = list(found)[-1]
    evaluation = {arm: run.summary.get("eval", {}).get(arm, {}) for arm in found}
    whose = "the policy’s own thinking" if found[last]["thinking"] == "generated" else "each sample’s thinking, forced"
    yield Text(
        f"What would the policy answer if its thinking stopped here? Asked along {whose}; z is the distribution over "
        "results at that point."
    )
    if tiles := list(_tiles(evaluation, names)):
        yield Tiles(tiles)
    yield _early_answering({names[arm]: content["curves"] for arm, content in found.items()})
    yield from _tables(evaluation, names)
    examples = found[last]["examples"]
    if examples:
        yield Text(
            f"Examples under {names[last]}: the thinkings that a harmless swap of words moves furthest, so not typical "
            "ones. Point at a token, or focus one and use the arrow keys, to see the results behind it; ticks stand at "
            "the end of the thinking as it was written."
        )
    for number, example in enumerate(examples, start=1):
        yield _example(example, found[last]["results"], number)


def _tiles(evaluation: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]) -> Iterator[Tile]:
    last = list(evaluation)[-1]
    for key, label in TILES.items():
        values = {arm: shown(of_arm.get(ALL, {}).get(key)) for arm, of_arm in evaluation.items()}
        if values[last][0] != UNMEASURED:
            yield Tile(label, *values[last], [(names[arm], value) for arm, (value, _) in values.items() if arm != last])


def _tables(evaluation: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]) -> Iterator[Block]:
    """Arms side by side over all concepts; those of each concept on demand."""
    columns = ["", *(names[arm] for arm in evaluation)]
    groups = {concept: list(_rows(evaluation, concept)) for concept in concepts(evaluation)}
    yield Table(columns, groups.pop(ALL, []), caption=concept_label(ALL), note=GLOSSARY)
    rows = [row for name, of in groups.items() if of for row in (Row(concept_label(name), level="group"), *of)]
    if rows:
        yield Details("The same for each concept of the stream", [Table(columns, rows)])


def _rows(evaluation: Mapping[str, Mapping[str, Any]], concept: str) -> Iterator[Row]:
    for measure in THINKING:
        cells = [Cell(*shown(of_arm.get(concept, {}).get(measure.key))) for of_arm in evaluation.values()]
        if any(cell.text != UNMEASURED for cell in cells):
            yield Row(measure.label, cells, level="sub" if measure.sub else "plain")


def _early_answering(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """The share of thinkings whose likeliest result is already the final one, over the share that is kept."""
    grid = np.linspace(0, 1, 21)
    figure = new_figure("share of the thinking that is kept", legend=len(curves) > 1)
    for number, (name, of_arm) in enumerate(curves.items()):
        line = {"color": colour(number), "dash": DASHES[number], "width": 2}
        settled = [np.interp(grid, one["shares"], _same(one["z"])) for one in of_arm]
        share: NDArray[np.float64] = np.mean(settled, axis=0) if settled else np.full(len(grid), np.nan)
        figure.add_scatter(x=short(grid), y=short(share), name=name, mode="lines", line=line)
    figure.update_yaxes(range=[0, 1.03])
    caption = (
        "Where the curve rises, the thinking decides; where it is flat at 1, the result stood before the first word."
    )
    return Figure(as_json(figure), "Early answering", "share with the final result", caption, wide=True)


def _same(z: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    leads = np.argmax(np.array(z), axis=1)
    return np.asarray(leads == leads[-1], dtype=np.float64)


def _example(example: Mapping[str, Any], results: Sequence[str], number: int) -> Thinking:
    swap, kept = example["swap"], example["tracks"]
    tracks = []
    for name, track in kept.items():
        words = None if swap is None else (swap["old"] if name == "as_written" else swap["new"])
        span = (swap["at"], swap["at"] + len(words)) if words else (0, 0)
        tracks.append(Track(HEADINGS[name], _tokens(track, span), track["z"]))
    largest = np.max([np.max(np.array(track.z), axis=0) for track in tracks], axis=0)
    pictures = [picture_of(entry) for entry in example["images"]]
    told = (
        f"Swapped: “{swap['old']}” became “{swap['new']}”." if swap else "No harmless swap was found in this thinking."
    )
    return Thinking(
        anchor=f"thinking-{number}",
        title=f"Example {number}: {example['id']}",
        prompt=example["prompt"],
        results=results,
        top=np.argsort(-largest, kind="stable")[:TOP].tolist(),
        truth=example["truth"],
        tracks=tracks,
        strongest=max([WEAKEST, *(token.drift for track in tracks for token in track.tokens)]),
        pictures=[picture for picture in pictures if picture is not None],
        note=told if all(pictures) else f"{told} A picture could not be read.",
    )


def _tokens(track: Mapping[str, Any], span: tuple[int, int]) -> list[Token]:
    """Tokens, with those marked that reach into a span of characters."""
    made, at = [], 0
    for place, token in enumerate(track["tokens"]):
        end = at + len(token["text"])
        marked = at < span[1] and end > span[0]
        made.append(Token(token["text"], token["p"], token["drift"], marked, place in track["alarms"]))
        at = end
    return made


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            got=f"{path}: {error}",
            wanted="the file as the run wrote it",
            remedy="judge the run again: evaluate.py run=DIR",
        ) from error
    return content
