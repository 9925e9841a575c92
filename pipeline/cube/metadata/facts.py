"""What is known of an asset before it is opened."""

from __future__ import annotations

from dataclasses import dataclass

from odc.geo.geom import Geometry

from pipeline.cube.opening import AssetRef
from pipeline.cube.unfit import Bounds, Quality


@dataclass(frozen=True, slots=True)
class AssetFacts:
    """What is known of an asset before it is opened."""

    ref: AssetRef
    nodata: int
    outline: Geometry | None
    """The rectangle of its rasters as the item states it; None: it does not."""
    nearest: bool = False
    """Codes, which are neither averaged nor interpolated."""
    bounds: Bounds | None = None
    """Which of its numbers are believed; none: all."""
    quality: Quality | None = None
    """Which other asset of the item is asked about its numbers, if any."""
