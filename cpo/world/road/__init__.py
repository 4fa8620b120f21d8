"""The road worlds: driving scenes and clips from a known causal graph, in CODA-LM's and BDD-X's layouts."""

from __future__ import annotations

from cpo.world.road.gallery import gallery
from cpo.world.road.reading import Reading, read
from cpo.world.road.sheet import contact_sheet
from cpo.world.road.video import RoadWorldVideo
from cpo.world.road.world import RoadWorld

__all__ = ["Reading", "RoadWorld", "RoadWorldVideo", "contact_sheet", "gallery", "read"]
