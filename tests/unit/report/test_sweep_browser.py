"""The page of a sweep in a real browser: drawn, and worked with mouse and keyboard."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cpo.commands.report import report
from tests.unit.report.sweeps import write_sweep
from tests.unit.report.test_browser import CHROMIUM, open_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]

WORK = """
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const say = (name, value) => { document.body.dataset[name] = value; };
document.querySelector("iframe").addEventListener("load", async (event) => {
  const page = event.target.contentDocument, view = event.target.contentWindow;
  await wait(3000);
  const tabs = [...page.querySelector("[role=tablist]").querySelectorAll("[role=tab]")];
  const shown = () => [...page.querySelector(".tabs").querySelectorAll("[role=tabpanel]")]
    .map((panel) => panel.hidden ? "-" : "x").join("");
  say("first", shown());
  tabs[1].click();
  say("clicked", shown());
  tabs[1].focus();
  tabs[1].dispatchEvent(new view.KeyboardEvent("keydown", { key: "End", bubbles: true }));
  say("keyed", shown() + ":" + tabs.indexOf(page.activeElement));
  tabs[0].click();
  await wait(500);
  const plot = page.querySelector(".tabs .nsewdrag"), box = plot.getBoundingClientRect();
  const at = { clientX: box.x + box.width * 0.6, clientY: box.y + box.height * 0.25, bubbles: true };
  for (const kind of ["mouseover", "mousemove"]) plot.dispatchEvent(new view.MouseEvent(kind, at));
  await wait(500);
  say("hover", [...page.querySelectorAll(".tabs .hoverlayer text")].map((text) => text.textContent).join(" "));
  say("overflow", page.documentElement.scrollWidth - page.documentElement.clientWidth);
});
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return report([write_sweep(tmp_path / "sweep", ("sudden", "gradual"), ("dpo", "cpo_plus", "ipo"), (0, 1))])


def test_every_figure_of_a_sweep_is_drawn_and_the_console_stays_empty(page: Path, tmp_path: Path) -> None:
    dom, console = open_page(page, tmp_path / "profile", "--window-size=1280,900")
    assert console == []
    assert dom.count('data-drawn="true"') == dom.count('class="plot"') == 7  # three measures, twice, and the cost


@pytest.mark.parametrize("width", [1280, 400])
def test_tabs_answer_to_mouse_and_keyboard_and_cells_to_the_pointer(page: Path, tmp_path: Path, width: int) -> None:
    frame = tmp_path / "frame.html"
    frame.write_text(f'<iframe style="width:{width}px;height:900px;border:0"></iframe><script>{WORK}</script>')
    with frame.open("a") as file:
        file.write(f"<script>document.querySelector('iframe').src = '{page.as_uri()}'</script>")
    dom, console = open_page(frame, tmp_path / "profile", "--window-size=1400,1000")
    said = dict(re.findall(r'data-(\w+)="([^"]*)"', dom.split("<body")[1].split(">")[0]))
    assert console == []
    assert (said["first"], said["clicked"], said["keyed"]) == ("x--", "-x-", "--x:2")
    assert "seeds" in said["hover"]
    assert said["overflow"] == "0"
