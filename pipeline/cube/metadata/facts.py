"""Facts about an asset that are known before it is opened."""

from __future__ import annotations

from dataclasses import dataclass

from odc.geo.geom import Geometry

from pipeline.cube.opening import AssetRef
from pipeline.cube.unfit import Bounds, Quality


@dataclass(frozen=True, slots=True)
class AssetFacts:
    """Facts about an asset that are known before it is opened."""

    ref: AssetRef
    nodata: int
    outline: Geometry | None
    """The rectangle of its rasters as the item states it; None if it states none."""
    nearest: bool = False
    """Whether its numbers are codes, which are neither averaged nor interpolated."""
    bounds: Bounds | None = None
    """Range of its valid numbers; None: all."""
    quality: Quality | None = None
    """The quality band of the item that flags its numbers, if any."""
