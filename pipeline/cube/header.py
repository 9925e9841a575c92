"""Where rasters lie whose items do not say it, or say it wrongly: read from the header of one asset of each."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pystac

from pipeline import sensors
from pipeline.cube.opening import read_asset
from pipeline.cube.outlines import Frame
from pipeline.cube.places import place_of
from pipeline.cube.roles import MAX_RASTER_PX
from pipeline.errors import AccessError, AssetError
from pipeline.types import CubeSettings

READERS = 8
"""Headers that are read at once; each host takes no more than `pipeline.access` says."""

PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"


def located(items: Sequence[pystac.Item], settings: CubeSettings) -> list[pystac.Item | str]:
    """Ask the files where rasters lie: one header of each item, a few at once.

    Parameters
    ----------
    items
        Those that do not say it themselves, or say it wrongly, and are to be used: each costs a
        request.
    settings
        Which private hosts may be asked, and what an unreadable asset costs.

    Returns
    -------
    For each a copy whose asset has `proj:code`, `proj:shape` and `proj:transform`, so that a saved
    search is not asked again; or the reason why nothing could be learned.

    Raises
    ------
    AssetUnavailableError, AccessUnavailableError
        A header cannot be read for now.
    AssetError, AccessError
        A header cannot be read, and the settings say that this fails the run.
    """
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda item: _asked(item, settings), items))


def _asked(item: pystac.Item, settings: CubeSettings) -> pystac.Item | str:
    """Return a copy that says where its rasters lie, or why it cannot be said."""
    offered = sensors.profile(item).offered(item)
    if not offered:
        return "it has no asset to read its projection from"
    key = next(iter(offered.values()))
    place = place_of(item, key, settings.hosts)
    try:
        return _with_frame(item, key, read_asset(place, header))
    except (AssetError, AccessError) as error:
        if error.retryable or settings.unreadable == "fail":
            raise
        return f"the header of asset {key!r} {getattr(error, 'reason', error)}"


def header(raster: Any) -> Frame:  # noqa: ANN401  (rasterio has no types)
    """Return what an opened raster says of where it lies.

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
    """Return a copy whose asset says where it lies; only that asset, since others may be coarser."""
    told = item.clone()
    # A clone has lost its root, which would be asked for by network; the self link stays.
    fields = told.assets[key].extra_fields
    for name in ("proj:code", "proj:epsg", "proj:wkt2", "proj:projjson", "proj:bbox"):
        fields.pop(name, None)
    fields |= {
        "proj:code" if found.crs.startswith("EPSG:") else "proj:wkt2": found.crs,
        "proj:shape": list(found.shape),
        "proj:transform": list(found.transform),
    }
    if not any("/projection/" in each for each in told.stac_extensions):
        told.stac_extensions.append(PROJECTION)
    return told
