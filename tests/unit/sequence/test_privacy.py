"""What goes wrong with a record is said without its path or id, which may be a patient's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cpo.errors import DataError
from cpo.records import PreferencePair
from cpo.sequence.collator import Collator
from cpo.sequence.layouts import Padded


@pytest.mark.parametrize("damage", ["deleted", "truncated"])
def test_an_unreadable_image_is_named_by_its_row_and_never_by_its_path(
    encoder: Any, make_pairs: Callable[..., list[PreferencePair]], damage: str
) -> None:
    pair = make_pairs(n=1)[0]
    path = Path(pair.sample.images[0].path)
    if damage == "deleted":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match="none:0") as caught:
        Collator(encoder, Padded(), max_length=512)([pair])
    assert path.name not in str(caught.value)
    assert path.parent.name not in str(caught.value)
    assert caught.value.__suppress_context__
