"""Locates rasters whose items state their position wrongly or not at all, by the header of one asset of each item."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pystac

from pipeline import sensors
from pipeline.cube.metadata.hrefs import asset_ref
from pipeline.cube.metadata.outlines import Frame
from pipeline.cube.metadata.roles import MAX_RASTER_PX
from pipeline.cube.opening import read_asset
from pipeline.errors import AccessError, AssetError
from pipeline.types import CubeSettings

TRIED = 3
"""Most assets of an item to try, if the headers of the first ones cannot be read."""

READERS = 8
"""Headers that are read at once; each host takes at most what `pipeline.access` allows."""

PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"


Answer = pystac.Item | str | AssetError | AccessError
"""A copy of the item that states where its rasters lie, or the reason why that is unknown, or a temporary error."""


def located(items: Sequence[pystac.Item], settings: CubeSettings) -> list[Answer]:
    """Read where items' rasters lie: one header per item, a few at once.

    Parameters
    ----------
    items
        Items that are to be used and state their position wrongly or not at all; each costs a request.
    settings
        The private hosts that may be read, and whether an unreadable asset fails the run.

    Returns
    -------
    For each item a copy whose asset has `proj:code`, `proj:shape` and `proj:transform`, so that a saved search needs no
    further request; or the reason why the position is unknown.

    Raises
    ------
    AssetError, AccessError
        A header cannot be read, and the settings make this an error.
    """
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda item: _asked(item, settings), items))


def _asked(item: pystac.Item, settings: CubeSettings) -> Answer:
    """Return a copy that states where its rasters lie, or the reason why it is unknown."""
    offered = dict.fromkeys(sensors.profile(item).offered(item).values())
    if not offered:
        return "it has no asset to read its projection from"
    first: AssetError | AccessError | None = None
    for key in list(offered)[:TRIED]:
        try:
            return _with_frame(
                item, key, read_asset(asset_ref(item, key, settings.hosts), header)
            )
        except (AssetError, AccessError) as error:
            if settings.unreadable == "fail":
                raise
            first = first or error
            # If a host does not answer, further assets of the item are not tried.
            if error.retryable:
                break
    assert first is not None
    return first if first.retryable else why_not(first)


def why_not(error: AssetError | AccessError) -> str:
    """Return the reason why an item's position is unknown."""
    if isinstance(error, AssetError):
        return f"the header of asset {error.asset!r} {error.reason}"
    return f"the header of none of its assets can be read: {error}"


def read_header(item: pystac.Item, key: str, settings: CubeSettings) -> Frame:
    """Open an asset and read where it lies.

    Raises
    ------
    AssetError, AccessError
        It cannot be read.
    """
    return read_asset(asset_ref(item, key, settings.hosts), header)


def header(raster: Any) -> Frame:  # noqa: ANN401  (rasterio has no types)
    """Return where an opened raster lies.

    Raises
    ------
    ValueError
        It has no CRS, is placed by ground control points, or is too large to be believed.
    """
    if raster.crs is None:
        raise ValueError("it has no CRS")
    if raster.transform.is_identity:
        raise ValueError("it has no transform")
    if raster.width * raster.height > MAX_RASTER_PX:
        raise ValueError(
            f"it has {raster.width} × {raster.height} pixels; at most {MAX_RASTER_PX} are read"
        )
    code = raster.crs.to_epsg()
    crs = f"EPSG:{code}" if code else raster.crs.to_wkt()
    return Frame(crs, (raster.height, raster.width), tuple(raster.transform)[:6])


def _with_frame(item: pystac.Item, key: str, found: Frame) -> pystac.Item:
    """Return a copy in which that asset alone states where it lies, since others may be coarser.

    The CRS replaces that of the whole item, which may be wrong.
    """
    located = item.clone()
    # A clone has no root link, which pystac might fetch; its self link is restored.
    fields = located.assets[key].extra_fields
    crs = {"proj:code" if found.crs.startswith("EPSG:") else "proj:wkt2": found.crs}
    for name in ("proj:code", "proj:epsg", "proj:wkt2", "proj:projjson", "proj:bbox"):
        for place in (
            located.properties,
            *(each.extra_fields for each in located.assets.values()),
        ):
            place.pop(name, None)
    located.properties |= crs
    fields |= {
        **crs,
        "proj:shape": list(found.shape),
        "proj:transform": list(found.transform),
    }
    if not any("/projection/" in each for each in located.stac_extensions):
        located.stac_extensions.append(PROJECTION)
    return located
