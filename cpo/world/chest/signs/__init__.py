"""How each attribute of the concept graph looks: some bend the chest, some are painted, some do both."""

from __future__ import annotations

from cpo.world.chest.signs.lungs import LUNG_PAINTS, Paint
from cpo.world.chest.signs.mediastinum import MEDIASTINUM_PAINTS
from cpo.world.chest.signs.pleura import PLEURA_PAINTS
from cpo.world.chest.signs.shape import BENDS

PAINTS: dict[str, Paint] = LUNG_PAINTS | MEDIASTINUM_PAINTS | PLEURA_PAINTS

__all__ = ["BENDS", "PAINTS"]
