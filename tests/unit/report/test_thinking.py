"""Drift behind thinking in the page of a run, and in a real browser."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cpo.errors import DataError
from cpo.report.blocks import Details, Figure, Table, Text, Thinking, Tile, Tiles
from cpo.report.record import read_run
from cpo.report.run import run_page
from cpo.report.thinking import thinking
from tests.unit.report.conftest import DISEASES, interval
from tests.unit.report.test_browser import CHROMIUM, open_page

WRITTEN = (
    "PA view of the chest. The heart is mildly enlarged. There is moderate blunting of the left costophrenic angle "
    "with a meniscus. No pleural line is seen. The lungs are otherwise clear."
)
GONE_ON = "PA view of the chest. The cardiac silhouette is mildly enlarged. The costophrenic angles are sharp."
SWAP = {"old": "heart", "new": "cardiac silhouette", "at": WRITTEN.index("heart")}


def track(text: str, turns: dict[str, tuple[int, float]], seed: int) -> dict[str, Any]:
    """Tokens of a text, at whose turning words the results move towards a disease."""
    rng = np.random.default_rng(seed)
    tokens = re.findall(r"\s*[\w]{1,7}|\s*[^\w\s]", text)
    logits = np.zeros(len(DISEASES))
    z = [np.full(len(DISEASES), 1 / len(DISEASES))]
    for token in tokens:
        logits = logits + rng.normal(0, 0.05, len(DISEASES))
        if token.strip() in turns:
            place, force = turns[token.strip()]
            logits[place] += force
        z.append(np.exp(logits) / np.exp(logits).sum())
    drift = [float((p * np.log2(2 * p / (p + q)) + q * np.log2(2 * q / (p + q))).sum() / 2) for p, q in pairwise(z)]
    chance = rng.beta(6, 1, len(tokens))
    return {
        "tokens": [
            {"text": t, "p": round(float(p), 4), "drift": round(d, 4)}
            for t, p, d in zip(tokens, chance, drift, strict=True)
        ],
        "z": [[round(float(p), 4) for p in row] for row in z],
        "alarms": [int(np.argmax(drift))],
    }


def content(pictures: list[str], examples: int = 2) -> dict[str, Any]:
    written = track(WRITTEN, {"enlarge": (1, 1.6), "blunting": (4, 3.4), "meniscu": (4, 1.2)}, 0)
    forced = track(WRITTEN.replace("heart", SWAP["new"]), {"silhoue": (1, 3.6), "blunting": (4, 2.2)}, 1)
    continued = track(GONE_ON, {"silhoue": (1, 3.6), "sharp": (4, -1.5)}, 2)
    example = {
        "images": pictures,
        "prompt": "Describe the findings of this chest radiograph, then name the disease of this patient.",
        "truth": ["Pleural Effusion"],
        "swap": SWAP,
        "tracks": {"as_written": written, "forced": forced, "continued": continued},
    }
    plain = {**example, "swap": None, "tracks": {"as_written": written}}
    rng = np.random.default_rng(0)
    curves = []
    for _ in range(40):
        shares = np.concatenate([[0.0], np.sort(rng.uniform(0.05, 0.95, 4)), [1.0]])
        curves.append({"shares": shares.tolist(), "z": rng.dirichlet(np.full(6, 0.4), size=6).round(4).tolist()})
    return {
        "results": list(DISEASES),
        "thinking": "generated",
        "cuts": "sentence",
        "curves": curves,
        "examples": [{"id": f"s5100000{n}", **(example if n % 2 == 0 else plain)} for n in range(examples)],
    }


def write_thinking(run: Path) -> Path:
    """Lets a run have been judged by the benchmark, before and after."""
    summary = json.loads((run / "summary.json").read_text())
    for phase, value in (("before", 0.14), ("after", 0.09)):
        summary["eval"][phase]["all"] |= {
            "thinking_drift": interval(5 * value, 0.1),
            "thinking_decided_at": interval(0.61 - value, 0.05),
            "thinking_early_area": interval(0.4 + value, 0.06),
            "synonym_changes_forced": interval(value, 0.04),
            "synonym_changes_continued": interval(value + 0.05, 0.05),
            "word_changes_forced": interval(value + 0.02, 0.04),
            "synonym_missing": {"count": 1, "answers": 64},
        }
        summary["eval"][phase]["tied"]["thinking_drift"] = interval(4 * value, 0.1)
        file = run / "eval" / phase / "thinking_drift" / "thinking.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(content([str(run / "chest0.png")])))
    (run / "summary.json").write_text(json.dumps(summary))
    return run


def test_a_run_that_was_not_judged_by_it_has_no_such_section(run_directory: Path) -> None:
    assert list(thinking(read_run(run_directory))) == []
    assert "Drift behind thinking" not in run_page(run_directory).read_text()


def test_the_section_shows_numbers_curves_and_examples_of_the_last_arm(run_directory: Path) -> None:
    blocks = list(thinking(read_run(write_thinking(run_directory))))
    assert [type(block) for block in blocks] == [Text, Tiles, Figure, Table, Details, Text, Thinking, Thinking]
    tiles, table, details, first, second = (blocks[n] for n in (1, 3, 4, 6, 7))
    assert isinstance(tiles, Tiles)
    assert isinstance(table, Table)
    assert tiles.tiles[0] == Tile(
        "Harmless swaps that change the diagnosis", "0.090", "[0.050, 0.130]", [("SFT", "0.140")]
    )
    assert table.columns == ["", "SFT", "Counterfactual preference optimization"]
    assert [row.label for row in table.rows[:2]] == [
        "Drift along the thinking, bits",
        "Decided at, share of the thinking",
    ]
    assert isinstance(details, Details)
    (by_concept,) = details.blocks
    assert isinstance(by_concept, Table)
    assert [row.label for row in by_concept.rows] == ["Concept “tied”", "Drift along the thinking, bits"]
    assert isinstance(first, Thinking)
    assert isinstance(second, Thinking)
    assert [track.heading for track in first.tracks] == ["As written", "Rest forced", "The policy goes on"]
    assert first.note == "Swapped: “heart” became “cardiac silhouette”."
    assert first.pictures[0].startswith("data:image/jpeg")
    assert len(second.tracks) == 1
    assert "No harmless swap" in second.note


def test_the_swapped_words_and_they_alone_are_marked(run_directory: Path) -> None:
    example = list(thinking(read_run(write_thinking(run_directory))))[6]
    assert isinstance(example, Thinking)
    marked = ["".join(token.text for token in track.tokens if token.marked).strip() for track in example.tracks]
    assert marked == ["heart", "cardiac silhouette", "cardiac silhouette"]
    assert all(len(track.z) == len(track.tokens) + 1 for track in example.tracks)


def test_a_damaged_file_is_named(run_directory: Path) -> None:
    file = write_thinking(run_directory) / "eval" / "after" / "thinking_drift" / "thinking.json"
    file.write_text(file.read_text()[:100])
    with pytest.raises(DataError, match=r"thinking\.json"):
        list(thinking(read_run(run_directory)))


STEPS = """
<script>setTimeout(() => {
  const page = document.querySelector('iframe').contentDocument, said = document.body.dataset;
  const view = document.querySelector('iframe').contentWindow;
  const article = page.querySelector('.thinking'), [written, forced, continued] = article.querySelectorAll('.track');
  const bars = (track) => [...track.querySelectorAll('.bars .p')].map((p) => p.textContent).join(' ');
  const at = (track) => track.querySelector('.at').textContent;
  said.start = bars(written);
  const tokens = [...written.querySelectorAll('.token')];
  const heart = tokens.find((token) => token.textContent === ' heart');
  heart.dispatchEvent(new view.PointerEvent('pointerover', { bubbles: true }));
  said.pointed = at(written);
  said.moved = bars(written);
  tokens[1].focus();
  tokens[1].dispatchEvent(new view.KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }));
  said.focused = page.activeElement.textContent;
  said.twin = forced.querySelector('.linked').textContent;
  article.querySelector('input[value="p"]').click();
  said.colour = article.dataset.colour;
  article.querySelector('input[value="2"]').click();
  said.hidden = `${forced.hidden} ${continued.hidden}`;
  said.wide = page.documentElement.scrollWidth - page.documentElement.clientWidth;
}, 4000)</script>
"""


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [1280, 400])
def test_a_reader_points_steps_and_compares(run_directory: Path, tmp_path: Path, width: int) -> None:
    report = run_page(write_thinking(run_directory))
    frame = tmp_path / "frame.html"
    frame.write_text(f'<iframe src="{report.as_uri()}" style="width:{width}px;height:900px;border:0"></iframe>{STEPS}')
    dom, console = open_page(frame, tmp_path / "profile", "--window-size=1300,950")
    assert console == []
    said = dict(re.findall(r'data-(\w+)="([^"]*)"', dom.partition("<body")[2].partition(">")[0]))
    assert said["start"] != said["moved"]
    assert said["pointed"].startswith("Behind “heart”, p 0.")
    assert said["focused"].strip() == said["twin"].strip() == "view"
    assert said["colour"] == "p"
    assert said["hidden"] == "true false"
    assert said["wide"] == "0"
