"""Facts about an asset that are known before it is opened."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from odc.geo.geobox import GeoBox
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
    outline_key: Hashable = field(default=None, kw_only=True)
    """Equal for equal outlines; None: it is made of the outline."""
    nearest: bool = False
    """Whether its numbers are codes, which are neither averaged nor interpolated."""
    bounds: Bounds | None = None
    """Range of its valid numbers; None: all."""
    quality: Quality | None = None
    """The quality band of the item that flags its numbers, if any."""
    region: GeoBox | None = None
    """The pixels that are read of it, in windows; None: not known, or of some windows nothing."""

    def __post_init__(self) -> None:
        # Once, not for each window.
        if self.outline_key is None and self.outline is not None:
            key = (str(self.outline.crs), self.outline.geom.wkb)
            object.__setattr__(self, "outline_key", key)
