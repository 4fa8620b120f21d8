"""Features of a frozen vision tower, computed once per distinct image."""

from __future__ import annotations

import io
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cpo.errors import ConfigError
from cpo.files import write_bytes
from cpo.policy.weights import weights_fingerprint
from cpo.tensors import PairBatch


class VisionCache:
    """What the vision tower says of an image, kept as long as its weights stay as they are.

    It belongs to no layout, reference or trainer: policy and reference, training and judging, before and after, all
    look through the same tower at the same pictures. Features are found by the tower's weights and the image's pixels.

    Args:
        vision: `memory`, `disk` (for pictures that are met again in other runs) or `none`.
        vision_mb: Memory for features, in MiB, ≥ 1; the least recently used go first, from memory only.

    Raises:
        ConfigError: A knob out of its range.
    """

    def __init__(self, *, vision: str, vision_mb: int) -> None:
        if vision not in ("memory", "disk", "none") or vision_mb < 1:
            raise ConfigError(
                got=f"cache.vision={vision}, cache.vision_mb={vision_mb}",
                wanted="cache.vision memory, disk or none; cache.vision_mb ≥ 1",
                remedy="pass cache.vision=memory cache.vision_mb=2048",
            )
        self.vision, self.vision_mb = vision, vision_mb
        self.directory: Path | None = None
        self._features: OrderedDict[tuple[str, str], Tensor] = OrderedDict()
        self._bytes = 0

    def attach(self, tower: torch.nn.Module, directory: Path) -> None:
        """Lets a tower be looked through by way of this cache, for as long as none of its weights is trained.

        Args:
            tower: The vision tower; its weights must not change while they ask for no gradients.
            directory: Where features are kept with `vision=disk`.
        """
        if self.vision != "none":
            self.directory = directory
            tower.feature_cache = self, weights_fingerprint(tower)  # type: ignore[assignment]

    def features(self, base: Any, batch: PairBatch, weights: str) -> list[Tensor]:
        """Of each distinct image of a batch, computed for those that are not known.

        Args:
            base: The model that holds the tower.
            batch: Gives the pixels.
            weights: Fingerprint of the tower.
        """
        device = batch.pixel_values.device
        found = [self._find((weights, key)) for key in batch.image_keys]
        unknown = [n for n, feature in enumerate(found) if feature is None]
        if unknown:
            sizes = batch.image_grid_thw.prod(dim=1).tolist()
            patches = batch.pixel_values.split(sizes)
            pixels = torch.cat([patches[n] for n in unknown])
            with torch.no_grad():
                new = base.get_image_features(pixels, batch.image_grid_thw[unknown], return_dict=True).pooler_output
            for n, feature in zip(unknown, new, strict=True):
                found[n] = feature
                self._keep((weights, batch.image_keys[n]), feature)
        return [feature.to(device) for feature in found if feature is not None]

    def _find(self, key: tuple[str, str]) -> Tensor | None:
        if key in self._features:
            self._features.move_to_end(key)
            return self._features[key]
        path = self._path(key)
        if path is None or not path.is_file():
            return None
        feature: Tensor = torch.load(path, map_location="cpu", weights_only=True)
        self._hold(key, feature)
        return feature

    def _keep(self, key: tuple[str, str], feature: Tensor) -> None:
        feature = feature.detach().cpu().clone()  # a slice of a batch would hold on to all of it
        self._hold(key, feature)
        path = self._path(key)
        if path is not None:
            file = io.BytesIO()
            torch.save(feature, file)
            write_bytes(path, file.getvalue())

    def _hold(self, key: tuple[str, str], feature: Tensor) -> None:
        self._features[key] = feature
        self._bytes += feature.nbytes
        while self._bytes > self.vision_mb * 2**20 and len(self._features) > 1:
            self._bytes -= self._features.popitem(last=False)[1].nbytes

    def _path(self, key: tuple[str, str]) -> Path | None:
        if self.vision != "disk" or self.directory is None:
            return None
        return self.directory / key[0] / key[1][:2] / f"{key[1]}.pt"


def image_features(base: Any, batch: PairBatch) -> list[Tensor]:
    """Features of each distinct image of a batch: remembered if the tower is frozen and has a cache.

    The tower runs without gradients if it is frozen.

    Args:
        base: The model that holds the tower.
        batch: Gives the pixels.
    """
    trained = any(p.requires_grad for p in base.visual.parameters())
    cache = getattr(base.visual, "feature_cache", None)
    if cache is not None and not trained:
        known, weights = cache
        return known.features(base, batch, weights)
    with torch.set_grad_enabled(torch.is_grad_enabled() and trained):
        return list(base.get_image_features(batch.pixel_values, batch.image_grid_thw, return_dict=True).pooler_output)
