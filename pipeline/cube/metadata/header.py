"""Where rasters lie whose items state it wrongly or not at all: read from the header of one asset of each."""

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
"""Assets of an item that are asked, where the first has no header that can be read."""

READERS = 8
"""Headers that are read at once; each host takes at most what `pipeline.access` allows."""

PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"


Answer = pystac.Item | str | AssetError | AccessError
"""An item that states where its rasters lie, or why that cannot be found; an error that may pass."""


def located(items: Sequence[pystac.Item], settings: CubeSettings) -> list[Answer]:
    """Ask the files where rasters lie: one header of each item, a few at once.

    Parameters
    ----------
    items
        Those that state it wrongly or not at all, and are to be used: each costs a
        request.
    settings
        Which private hosts may be asked, and what an unreadable asset costs.

    Returns
    -------
    For each a copy whose asset has `proj:code`, `proj:shape` and `proj:transform`, so that a saved
    search is not asked again; or the reason why nothing could be learned.

    Raises
    ------
    AssetError, AccessError
        A header cannot be read, and by the settings this fails the run.
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
            # A host that does not answer is not asked for the next one.
            if error.retryable:
                break
    assert first is not None
    return first if first.retryable else why_not(first)


def why_not(error: AssetError | AccessError) -> str:
    """Return why nothing was learned."""
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
    """Return a copy whose asset states where it lies; only that asset, since others may be coarser.

    The CRS is that of the item as a whole: what the item stated may be wrong.
    """
    located = item.clone()
    # A clone has lost its root, which would be asked for by network; the self link stays.
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
