"""From which pixels a tile is masked: the grid's, or larger ones (``mask.resolution_m``)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline.errors import ConfigError, ModelError
from pipeline.mask import coarser, finer
from pipeline.run.common.postprocess import reach_px
from pipeline.types import MaskSettings, ModelCard

SAME = 1e-6
"""By which share of a pixel two sizes may differ and still be the same."""


@dataclass(frozen=True, slots=True)
class MaskPixels:
    """The pixels from which a geobox of the grid is masked."""

    own: GeoBox
    """All that meet the geobox."""
    wide: GeoBox
    """These, and as far beyond them as the postprocessing looks."""
    reach: int
    """Pixels on each side between the two."""
    factor: int
    """Pixels of the grid along an edge of one of these."""
    inside: tuple[slice, slice]
    """(rows, columns) of the geobox within `own`, in pixels of the grid."""

    @property
    def sizes(self) -> NDArray[np.int32] | None:
        """How many pixels of the geobox each pixel (y, x) of `own` holds; none: each is one."""
        if self.factor == 1:
            return None
        along = []
        for n, inside in zip(self.own.shape, self.inside, strict=True):
            held = np.zeros(n * self.factor, np.int32)
            held[inside] = 1
            along.append(held.reshape(n, self.factor).sum(axis=1, dtype=np.int32))
        rows, cols = along
        held_by: NDArray[np.int32] = rows[:, np.newaxis] * cols
        return held_by

    def on_grid(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bring values of `wide` to the pixels of the grid."""
        inner = tuple(slice(self.reach, self.reach + size) for size in self.own.shape)
        return finer(pixels[inner], self.factor, self.inside)


def mask_pixels(geobox: GeoBox, card: ModelCard, settings: MaskSettings) -> MaskPixels:
    """Return the pixels from which a model masks a geobox of the grid."""
    grid_m = abs(geobox.resolution.x)
    factor = 1 if card.pixel_m is None else round(card.pixel_m / grid_m)
    own, inside = coarser(geobox, factor)
    reach = reach_px(settings, abs(own.resolution.x))
    return MaskPixels(own, own.pad(reach), reach, factor, inside)


def with_pixels(card: ModelCard, settings: MaskSettings, grid_m: float) -> ModelCard:
    """Return a card that says from which pixels the model masks.

    Raises
    ------
    ConfigError
        ``mask.resolution_m`` is no whole multiple of the grid's pixel.
    ModelError
        The model is not meant for pixels of that size.
    """
    factor = _factor(card, settings, grid_m)
    pixel_m = factor * grid_m
    finest, coarsest = card.resolution_m
    if not finest <= pixel_m <= coarsest:
        setting = "grid" if factor == 1 else "mask"
        raise ModelError(
            f"model {card.name} is meant for pixels of {finest:g} to {coarsest:g} m, "
            f"{setting}.resolution_m is {pixel_m:g}"
        )
    return card if factor == 1 else replace(card, pixel_m=pixel_m)


def _factor(card: ModelCard, settings: MaskSettings, grid_m: float) -> int:
    wanted = settings.resolution_m
    if wanted is None:
        return 1
    if wanted == "auto":
        return max(1, int((card.best_m or grid_m) / grid_m + SAME))
    factor = round(wanted / grid_m)
    if factor < 1 or abs(factor * grid_m - wanted) > SAME * grid_m:
        raise ConfigError(
            f"mask.resolution_m: found {wanted:g}, expected a whole multiple of grid.resolution_m "
            f"({grid_m:g}), or auto"
        )
    return factor
