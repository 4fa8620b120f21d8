"""The page of a dataset's studies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cpo.report.studies import studies_page


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    Image.new("L", (8, 8), 90).save(tmp_path / "film.jpg")
    study = {
        "title": "Study 1 <b>",
        "image": tmp_path / "film.jpg",
        "report": [("FINDINGS", [("Clear lungs.", False), ("A nodule.", True)])],
        "truth": [("Diseases", "Lung Lesion")],
    }
    rows = [(f"row {k}", [k, ""]) for k in range(25)]
    return {
        "name": "world-x",
        "facts": [("Studies", "1,000")],
        "tables": [
            {"caption": "Short", "columns": ["Name", "n", "m"], "rows": rows[:2]},
            {"caption": "Long", "columns": ["Name", "n", "m"], "rows": rows},
        ],
        "studies": [study, study | {"title": "Study 2", "image": tmp_path / "gone.jpg"}],
    }


def test_picture_report_and_truth_stand_side_by_side(content: dict[str, Any], tmp_path: Path) -> None:
    html = studies_page(content, tmp_path / "new" / "page.html").read_text(encoding="utf-8")

    assert "Study 1 &lt;b&gt;" in html
    assert html.count('src="data:image/jpeg;base64,') == 1
    assert '<mark class="after">A nodule.</mark>' in html
    assert "<mark" not in html.split("Clear lungs.")[0].split("<main")[1]
    assert html.count("Lung Lesion") == 2


def test_a_lost_picture_is_said_and_a_long_table_opens_on_demand(content: dict[str, Any], tmp_path: Path) -> None:
    html = studies_page(content, tmp_path / "page.html").read_text(encoding="utf-8")

    assert html.count("Its picture cannot be read.") == 1
    assert "<summary>Long (25 rows)</summary>" in html
    assert html.count("<details") == 1
