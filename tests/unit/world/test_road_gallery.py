"""What a page and a contact sheet show of the road worlds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cpo.errors import DataError
from cpo.world.road import contact_sheet, gallery
from cpo.world.road.sheet import read_truth


@pytest.fixture(params=["written_road", "written_clips"])
def root(request: pytest.FixtureRequest) -> Path:
    return Path(request.getfixturevalue(request.param))


@pytest.fixture
def content(root: Path) -> dict[str, Any]:
    return gallery(root, 5)


def test_scenes_are_spread_over_the_world_with_their_pictures(content: dict[str, Any], root: Path) -> None:
    ids = [record["study_id"] for record in read_truth(root)]
    shown = [study["title"].split()[1] for study in content["studies"]]

    assert shown == ids[:: len(ids) // 5][:5]
    assert all(study["image"].is_file() for study in content["studies"])


def test_the_text_is_whole_and_what_it_states_is_marked(content: dict[str, Any], root: Path) -> None:
    records = {record["study_id"]: record for record in read_truth(root)}
    for study in content["studies"]:
        record, sections = records[study["title"].split()[1]], dict(study["report"])
        assert sum(marked for _, marked in sections["DESCRIPTION"]) == len(record["attributes"])
        ((action, marked),) = sections["ACTION"]
        assert action.startswith(("The ego car should ", "The car "))
        assert not marked


def test_the_truth_says_what_is_there_and_what_is_denied(content: dict[str, Any], root: Path) -> None:
    records = {record["study_id"]: record for record in read_truth(root)}
    for study in content["studies"]:
        record, truth = records[study["title"].split()[1]], dict(study["truth"])
        assert truth["Denied by the text"] == ", ".join(record["negated"])
        assert all(action in truth["Actions"] for action in record["actions"] or ["keep going"])
        assert all(attribute["name"] in truth["Shown by the picture"] for attribute in record["attributes"])
        assert record["nuisances"]["place"] in truth["Nuisances"]


def test_tables_count_the_truth(content: dict[str, Any], root: Path) -> None:
    records = read_truth(root)
    actions, attributes = content["tables"]
    for action, (present, *by_split, uncertain) in actions["rows"]:
        states = [record["actions"].get(action) for record in records]
        assert (present, uncertain) == (states.count("present"), states.count("uncertain"))
        assert sum(by_split) == present
    for name, (present, *grades, _, denied) in attributes["rows"]:
        assert denied == sum(name in record["negated"] for record in records)
        assert grades == ["", "", ""] or sum(grades) == present
    assert all(len(row) == len(table["columns"]) - 1 for table in content["tables"] for _, row in table["rows"])


def test_facts_name_difficulty_and_drives(content: dict[str, Any], root: Path) -> None:
    facts, records = dict(content["facts"]), read_truth(root)

    assert facts["Difficulty"].startswith("default: severities")
    assert facts["Scenes"] == f"{len(records)} of {len({record['drive'] for record in records})} drives"


def test_the_contact_sheet_shows_pictures(root: Path, tmp_path: Path) -> None:
    with Image.open(contact_sheet(root, 8, tmp_path / "new" / "sheet.png")) as sheet:
        pixels = np.asarray(sheet.convert("L"))

    tiles = pixels.reshape(2, -1, 6, 224).transpose(0, 2, 1, 3)[:, :, :224]
    assert [tile.std() > 15 for row in tiles for tile in row] == [True] * 8 + [False] * 4


def test_a_folder_that_is_no_world_is_refused(tmp_path: Path) -> None:
    said = r"the folder that RoadWorld\.write or RoadWorldVideo\.write returned"
    with pytest.raises(DataError, match=said):
        gallery(tmp_path, 3)
    with pytest.raises(DataError, match=said):
        contact_sheet(tmp_path, 3, tmp_path / "sheet.png")
