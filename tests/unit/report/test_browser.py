"""The page in a real browser: drawn without errors, and no wider than a telephone."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cpo.panels import PANELS
from cpo.report.run import run_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"),
    *("--allow-file-access-from-files", "--virtual-time-budget=10000", "--dump-dom"),
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


def open_page(path: Path, profile: Path, *flags: str) -> tuple[str, list[str]]:
    """The page's DOM after its scripts have run, and what it wrote to the console."""
    command = [str(CHROMIUM), *FLAGS, *flags, f"--user-data-dir={profile}", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_figure_is_drawn_and_the_console_stays_empty(run_directory: Path, tmp_path: Path, theme: str) -> None:
    scheme = f"--blink-settings=preferredColorScheme={0 if theme == 'dark' else 1}"
    dom, console = open_page(run_page(run_directory), tmp_path / "profile", "--window-size=1280,900", scheme)
    assert console == []
    figures = dom.count('class="plot"')
    assert figures == len(PANELS) + 1  # every panel has data in the fixture, and the headline has a figure of its own
    assert dom.count('data-drawn="true"') == figures
    assert len(re.findall(r'class="main-svg" [^>]*width="\d{3,}"', dom)) >= figures
    assert "Balanced accuracy by concept" in dom


def test_the_page_fits_a_narrow_screen(run_directory: Path, tmp_path: Path) -> None:
    report = run_page(run_directory)
    frame = tmp_path / "frame.html"  # a frame, since the browser's own window cannot be this narrow
    frame.write_text(
        f'<iframe src="{report.as_uri()}" style="width:400px;height:900px;border:0"></iframe>'
        "<script>setTimeout(() => { const page = document.querySelector('iframe').contentDocument.documentElement;"
        "document.body.dataset.overflow = page.scrollWidth - page.clientWidth; }, 4000)</script>"
    )
    dom, console = open_page(frame, tmp_path / "profile")
    assert console == []
    assert 'data-overflow="0"' in dom
