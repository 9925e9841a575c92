"""Clear-sky statistics of an AOI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import odc.geo.xr  # noqa: F401 (the accessor .odc)
import xarray as xr
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from pipeline.errors import QueryError
from pipeline.query.area import Part, area_on, parts, pixels_outside
from pipeline.types import (
    NEVER,
    UNCOVERED,
    UNREADABLE,
    USABLE,
    Code,
    Period,
    SceneShares,
    Series,
)

OUTSIDE = np.uint8(255)
"""Stands for pixels that do not belong to the AOI."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def clear_sky(
    masks: Mapping[str, xr.Dataset], aoi: BaseGeometry | None, period: Period | None = None
) -> Series:
    """Count the classes in an AOI, scene by scene.

    Tiles that lie wholly in the AOI are answered from their histograms; pixels are read only
    where the AOI's edge crosses a tile. Pixels of the AOI beyond the archive's region count as
    unread, like those of cells that were never masked or could not be read.

    Parameters
    ----------
    masks
        Sensor -> masks, as `pipeline.store.Archive.masks` gives them.
    aoi
        Polygon or multipolygon in degrees (EPSG:4326); none: the whole region.
    period
        Scenes outside are left out; none: all scenes.

    Returns
    -------
    One row a scene, by time, then sensor.

    Raises
    ------
    QueryError
        The AOI lies outside the region, has no area, or holds no pixel's centre.
    """
    scenes = [
        scene
        for sensor, dataset in masks.items()
        for scene in _scenes(sensor, scenes_in(dataset, period), aoi)
    ]
    return Series(scenes=tuple(sorted(scenes, key=lambda each: (each.time, each.sensor))))


def scenes_in(dataset: xr.Dataset, period: Period | None) -> xr.Dataset:
    """Keep the scenes of a period."""
    if period is None:
        return dataset
    inside = np.array([time in period for time in times_of(dataset)], bool)
    # Times are sorted: a slice stays lazy and cheap where a list of positions would not.
    at = np.flatnonzero(inside)
    chosen: xr.Dataset = dataset.isel(time=slice(at[0], at[-1] + 1) if at.size else slice(0))
    return chosen


def times_of(dataset: xr.Dataset) -> list[datetime]:
    """Return the time axis as datetimes, UTC."""
    stamps = dataset["time"].to_numpy().astype("datetime64[us]").astype(np.int64)
    return [EPOCH + timedelta(microseconds=int(each)) for each in stamps]


def _scenes(
    sensor: str, dataset: xr.Dataset, aoi: BaseGeometry | None
) -> Iterator[SceneShares]:
    geobox = dataset.odc.geobox
    area = area_on(geobox, aoi)
    outside = pixels_outside(area, geobox)
    counts = np.zeros((dataset.sizes["time"], len(Code)), np.int64)
    unread = np.full(dataset.sizes["time"], outside)
    pixels = outside
    for part in parts(area, geobox, int(dataset.attrs["tile_px"])):
        pixels += part.pixels
        fingerprint = _cells(dataset["fingerprint"], part)
        counts += _counts(dataset, part, fingerprint)
        unread[np.isin(fingerprint, (NEVER, UNREADABLE))] += part.pixels
    if not pixels:
        edge = abs(geobox.resolution.x)
        raise QueryError(f"the AOI is too small: no centre of a pixel of {edge:g} m lies in it")
    platforms = [str(each) for each in dataset["platform"].to_numpy()]
    for at, time in enumerate(times_of(dataset)):
        yield SceneShares(
            sensor=sensor,
            time=time,
            platform=platforms[at],
            pixels=pixels,
            counts={code: int(counts[at, code]) for code in Code},
            unread=int(unread[at]),
        )


def _counts(
    dataset: xr.Dataset, part: Part, fingerprint: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Count the classes (time, class) of a part."""
    counts = np.zeros((fingerprint.size, len(Code)), np.int64)
    counts[fingerprint == UNCOVERED, Code.NO_DATA] = part.pixels
    masked = np.flatnonzero(fingerprint > UNREADABLE)
    if part.inside is None:
        counts[masked] = _cells(dataset["histogram"], part)[masked]
        return counts
    ys, xs = part.window
    for at in masked:
        pixels = dataset["mask"].isel(time=int(at), y=ys, x=xs).to_numpy()
        # Comparing bytes takes a third of the time of selecting and counting them.
        codes = np.where(part.inside, pixels, OUTSIDE)
        counts[at] = [np.count_nonzero(codes == code) for code in Code]
    return counts


def _cells(values: xr.DataArray, part: Part) -> NDArray[Any]:
    return values.isel(tile_y=part.row, tile_x=part.col).to_numpy()


def to_rows(series: Series) -> list[dict[str, Any]]:
    """Return a series as rows of a table: shares of the AOI in percent, two decimals."""
    return [
        {
            "time": f"{scene.time:%Y-%m-%dT%H:%M:%SZ}",
            "sensor": scene.sensor,
            "platform": scene.platform,
            "clear_pct": round(scene.percent(*USABLE), 2),
            "thin_pct": round(scene.percent(Code.THIN_CLOUD), 2),
            "thick_pct": round(scene.percent(Code.THICK_CLOUD), 2),
            "shadow_pct": round(scene.percent(Code.CLOUD_SHADOW), 2),
            "snow_pct": round(scene.percent(Code.SNOW), 2),
            "no_data_pct": round(scene.percent(Code.NO_DATA), 2),
            "unread_pct": round(100.0 * scene.unread / scene.pixels, 2),
        }
        for scene in series.scenes
    ]
