"""Draws the pictures of docs/drift.md from the code that they are about.

    python docs/images/draw_drift.py

Schedules are drawn with the knobs of conf/drift/, shifts on a small chest world under drift=gradual.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from cpo import config
from cpo.commands.drift import regime
from cpo.commands.settings import composed
from cpo.drift.schedule import Schedule
from cpo.files import write_text
from cpo.records import Edit
from cpo.report.style import PALETTE
from cpo.sequence.edits import APPEARANCES, apply_edits

HERE = Path(__file__).parent
CONF = HERE.parents[1] / "conf"
SAMPLES = 240
WORLDS = {"chest_world": ("studies", 2000), "road_world": ("scenes", 40)}
SHOWN: Mapping[str, Sequence[str]] = {
    "prevalence": ("result",),
    "long_tail": ("No Finding", "Fracture", "Pleural Other"),
    "co_occurrence": ("second_given_first", "second_given_no_first", "first"),
    "spurious": ("value_given_result", "value_given_no_result", "value"),
    "annotation": ("healthy", "uncertain"),
    "vocabulary": ("in_new_words",),
    "missing_evidence": ("findings", "sentences"),
    "appearance": ("edited",),
}
"""What is drawn of each shift, by the names under which it measures itself; domain needs a second dataset."""


def main() -> None:
    """Writes every picture."""
    for file in sorted((CONF / "drift").glob("*.yaml")):
        schedule = config.build(yaml.safe_load(file.read_text(encoding="utf-8")))
        write_text(HERE / f"drift_{file.stem}.svg", schedule_svg(schedule))
    with tempfile.TemporaryDirectory() as cache:
        write_text(HERE / "shifts.svg", shifts_svg(cache))
        appearance_sheet(cache).save(HERE / "appearance.png", optimize=True)


def schedule_svg(schedule: Schedule) -> str:
    """P(new concept) along the stream over the plan drawn from it, sample by sample."""
    new = schedule.probabilities(SAMPLES, 2)[:, 1]
    left, width, top, height = 60, 640, 22, 70
    step = width / SAMPLES
    curve = " ".join(f"{left + (i + 0.5) * step:.1f},{top + height * (1 - p):.1f}" for i, p in enumerate(new))
    marks, at = "", 0
    for concept, run in groupby(schedule.plan(SAMPLES, 2, seed=0).tolist()):
        length = len(list(run))
        marks += (
            f'<rect x="{left + at * step:.2f}" y="{top + height + 14}" width="{length * step:.2f}" height="20" '
            f'fill="{PALETTE[concept]}" shape-rendering="crispEdges"/>'
        )
        at += length
    changes = sorted({at for change in schedule.changes(SAMPLES, 2) for at in change})
    lines = "".join(
        f'<path d="M{left + at * step:.1f} {top}V{top + height + 34}" stroke="#888" stroke-dasharray="3 3"/>'
        for at in changes
    )
    said = "".join(text(left + at * step, top + height + 48, f"{at / SAMPLES:.2g}", "middle") for at in (*changes,))
    return svg(
        720,
        top + height + 56,
        f'<path d="M{left} {top + height}H{left + width}" stroke="#888" stroke-width="0.5"/>'
        f"{text(left - 6, top + 4, '1', 'end')}{text(left - 6, top + height + 4, '0', 'end')}"
        f"{text(left, 12, 'P(new concept)')}{text(left - 6, top + height + 28, 'samples', 'end')}"
        f'{lines}<polyline points="{curve}" fill="none" stroke="{PALETTE[1]}" stroke-width="2"/>{marks}{said}',
    )


def shifts_svg(cache: str) -> str:
    """What each shift measures of itself in twenty stretches of a gradual drift, in small multiples."""
    panels = []
    for place, (shift, keys) in enumerate(SHOWN.items()):
        found = regime(["drift=gradual", f"shift={shift}", *small("chest_world", cache)], split="train", bins=20)
        n = len(found["truth"]["concept_at"])
        curves = {key: found["shifts"][shift][key] for key in keys}
        x = np.array(found["positions"]) / n
        span = [at / n for at in found["truth"]["changes"][0]]
        panels.append(panel(shift, curves, x, span, left=40 + (place % 2) * 350, top=24 + (place // 2) * 136))
    return svg(720, 24 + 136 * ((len(SHOWN) + 1) // 2), "".join(panels))


def panel(
    title: str, curves: Mapping[str, Sequence[float]], x: np.ndarray, span: Sequence[float], left: int, top: int
) -> str:
    """One of the small multiples."""
    width, height = 300, 84
    most = max(1.0, *(value for rates in curves.values() for value in rates))
    parts = [
        text(left, top - 8, title, weight="bold"),
        f'<rect x="{left + span[0] * width:.1f}" y="{top}" width="{(span[1] - span[0]) * width:.1f}" '
        f'height="{height}" fill="#888" opacity="0.15"/>',
        f'<path d="M{left} {top + height}h{width}M{left} {top}v{height}" stroke="#888" stroke-width="0.5"/>',
        text(left - 4, top + 8, f"{most:.2g}", "end"),
        text(left - 4, top + height, "0", "end"),
    ]
    said = left
    for number, (name, rates) in enumerate(curves.items()):
        points = " ".join(
            f"{left + at * width:.1f},{top + height * (1 - rate / most):.1f}" for at, rate in zip(x, rates, strict=True)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{PALETTE[number]}" stroke-width="2"/>')
        name = name.replace("_", " ")
        parts.append(text(said, top + height + 14, name, fill=PALETTE[number]))
        said += 12 + round(6.2 * len(name))
    return "".join(parts)


def appearance_sheet(cache: str) -> Image.Image:
    """One picture of each world as it is, and under each edit at strength ½."""
    side = 112
    sheet = Image.new("RGB", ((1 + len(APPEARANCES)) * (side + 4) - 4, len(WORLDS) * (side + 4) - 4), "white")
    for row, world in enumerate(WORLDS):
        cfg = composed([f"dataset={world}", "shift=none", *small(world, cache, image_size=side)])
        sample = config.build_dataset(cfg.dataset).samples("train")[3]
        picture = Image.open(sample.images[0].path).convert("RGB")
        edits = [(), *((Edit(name, (("seed", 0.0), ("strength", 0.5))),) for name in APPEARANCES)]
        for column, edit in enumerate(edits):
            sheet.paste(apply_edits(picture, edit), (column * (side + 4), row * (side + 4)))
    return sheet.quantize(128)


def small(world: str, cache: str, image_size: int = 64) -> list[str]:
    """Overrides for a world that is made in a moment."""
    knob, count = WORLDS[world]
    if image_size > 64:
        count = 40
    sizes = [f"dataset.world.{knob}={count}", f"dataset.world.image_size={image_size}", "dataset.world.workers=1"]
    return [*sizes, f"paths.cache={json.dumps(cache)}"]


def text(x: float, y: float, said: str, anchor: str = "start", **style: Any) -> str:
    """A text element."""
    fill, weight = style.get("fill", "#888"), style.get("weight", "normal")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-weight="{weight}">{said}</text>'


def svg(width: int, height: int, content: str) -> str:
    """A whole picture, for light and dark pages alike."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12">{content}</svg>\n'
    )


if __name__ == "__main__":
    main()
