"""The `cpo` command answers at once, and tells a mistake without a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from cpo.cli import GROUPS, choices, main

CONF = Path(__file__).parents[2] / "conf"
HEAVY = {"torch", "transformers", "wandb", "pytorch_lightning", "hydra", "omegaconf", "numpy", "rich"}


@pytest.mark.parametrize("arguments", ["--help", "list"])
def test_no_heavy_library_is_imported_for(arguments: str) -> None:
    script = f"""
import sys
from cpo.cli import main
try:
    main({arguments.split()})
except SystemExit as stop:
    assert not stop.code, stop.code
print(*{HEAVY} & set(sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert done.stderr.split() == []


@pytest.mark.parametrize(("kind", "group"), GROUPS.items())
def test_list_shows_every_config_of_a_kind_with_its_headline(
    kind: str, group: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", kind]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(list((CONF / group).rglob("*.yaml")))
    assert [line.split()[0] for line in lines] == list(choices(group))
    assert all(len(line.split()) > 2 for line in lines)


def test_list_without_a_kind_shows_all_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0

    shown = capsys.readouterr().out
    assert all(kind in shown for kind in GROUPS)


def test_a_mistake_is_told_as_got_wanted_remedy_with_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path)]) == 2

    shown = capsys.readouterr()
    assert shown.out == ""
    assert [line.split(":")[0] for line in shown.err.splitlines()] == ["got", "wanted", "remedy"]


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["dataset=mimic_cxr", "dataset.root=nowhere"], "nowhere: no such folder"),
        (["dataset=chest_wold"], "Could not find 'dataset/chest_wold'"),
    ],
)
def test_data_show_refuses_what_it_cannot_draw(
    overrides: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "show", *overrides]) == 2
    assert told in capsys.readouterr().err


def test_data_show_draws_a_world_that_it_makes_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = tmp_path / "sheet.png"
    small = ["dataset.world.studies=12", "dataset.world.workers=1", f"paths.cache={tmp_path}"]

    assert main(["data", "show", *small, "n=3", f"out={sheet}"]) == 0
    assert capsys.readouterr().out.split()[-1] == str(sheet)
    with Image.open(sheet) as image:
        assert image.width > 300


def test_data_show_writes_a_page_that_names_the_world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "studies.html"
    small = ["dataset.world.studies=12", "dataset.world.workers=1", "dataset.world.difficulty=hard"]

    assert main(["data", "show", *small, f"paths.cache={tmp_path}", "n=3", f"out={page}"]) == 0
    assert capsys.readouterr().out.split()[-1] == str(page)
    html = page.read_text(encoding="utf-8")
    assert "<h1>chest_world-hard-" in html
    assert html.count("data:image/jpeg;base64,") == html.count(" of patient ") // 2 == 3


def test_data_check_says_that_a_world_is_usable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["dataset.world.studies=12", "dataset.world.workers=1", f"paths.cache={tmp_path}"]
    page, found = tmp_path / "check.html", tmp_path / "check.json"

    assert main(["data", "check", *small, f"page={page}", "--json", str(found)]) == 0
    assert "verdict: usable" in capsys.readouterr().out
    content = json.loads(found.read_text(encoding="utf-8"))
    assert (content["records"], content["samples"], content["verdict"]) == (12, 12, "usable")
    assert content["details"]["media_decoded"] == 12
    assert "This copy is usable." in page.read_text(encoding="utf-8")


def test_data_check_says_that_nothing_is_unusable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "dataset=mimic_cxr", f"dataset.root={tmp_path}"]) == 2
    assert "an empty folder" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["out=studies.pdf"], ["n=0"], ["one", "two"]])
def test_data_show_refuses_what_it_cannot_write(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", *arguments]) == 2
    assert "wanted:" in capsys.readouterr().err


def test_an_unknown_kind_is_refused_with_the_kinds_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["list", "loses"])

    assert stop.value.code == 2
    assert "losses" in capsys.readouterr().err


def test_a_policy_trained_on_credentialed_data_is_exported_only_when_that_is_acknowledged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text("dataset: {access: credentialed}", encoding="utf-8")
    (tmp_path / "summary.json").write_text("{}", encoding="utf-8")
    call = ["export", f"run={tmp_path}", f"out={tmp_path / 'out'}"]

    assert main(call) == 2
    told = capsys.readouterr().err
    assert "PhysioNet" in told
    assert "privacy=acknowledged" in told
    assert not (tmp_path / "out").exists()
    assert main([*call, "privacy=yes"]) == 2
    assert "strict or acknowledged" in capsys.readouterr().err
