"""The chest world: chest X-rays and reports from a known causal graph."""

from __future__ import annotations

from cpo.world.chest.gallery import gallery
from cpo.world.chest.reading import Reading, read
from cpo.world.chest.sheet import contact_sheet
from cpo.world.chest.world import ChestWorld

__all__ = ["ChestWorld", "Reading", "contact_sheet", "gallery", "read"]
