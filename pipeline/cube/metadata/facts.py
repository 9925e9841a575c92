"""What is known of an asset before it is opened."""

from __future__ import annotations

from dataclasses import dataclass

from odc.geo.geom import Geometry

from pipeline.cube.unfit import Bounds, Quality


@dataclass(frozen=True, slots=True)
class AssetFacts:
    """What is known of an asset before it is opened."""

    item_id: str
    asset: str
    nodata: int
    outline: Geometry | None
    """Where the item says that its rasters lie; none: it does not say."""
    remote: bool = False
    """Whether the item came from elsewhere, not from a file of this machine."""
    hosts: tuple[str, ...] = ()
    """Hosts of private addresses that may be read all the same."""
    nearest: bool = False
    """Codes, which are neither averaged nor interpolated."""
    bounds: Bounds | None = None
    """Which of its numbers are believed; none: all."""
    quality: Quality | None = None
    """Which other asset of the item is asked about its numbers, if any."""
