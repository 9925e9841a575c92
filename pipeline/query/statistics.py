"""Clear-sky statistics of an AOI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import odc.geo.xr  # noqa: F401 (the accessor .odc)
import xarray as xr
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from pipeline.errors import QueryError
from pipeline.query.area import Part, area_on, parts, pixels_outside
from pipeline.query.knowledge import stretches, whole_period
from pipeline.types import (
    NEVER,
    UNCOVERED,
    UNREADABLE,
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
    One row a scene, by time, then sensor. The series also knows of which dates runs looked for scenes
    and found none, and of which they never looked: `Series.stretches`, `pipeline.query.in_words`.

    Raises
    ------
    QueryError
        The AOI lies outside the region, has no area, or holds no pixel's centre.
    """
    found = [_look(sensor, each, aoi, period) for sensor, each in masks.items()]
    scenes = sorted(
        (s for each in found for s in each.scenes), key=lambda s: (s.time, s.sensor)
    )
    searches = {
        sensor: tuple(each.encoding.get("searched", ())) for sensor, each in masks.items()
    }
    archived = whole_period(
        [search for each in searches.values() for search in each],
        [time for each in masks.values() for time in times_of(each)],
    )
    asked = period or archived
    return Series(
        scenes=tuple(scenes),
        asked=asked,
        stretches=()
        if asked is None
        else tuple(
            stretch
            for sensor, searched in searches.items()
            for stretch in stretches(sensor, asked, searched, aoi, _times(scenes, sensor))
        ),
        archived=archived,
        outside=max((each.outside for each in found), default=0.0),
        unmasked=_unmasked(found),
    )


def _times(scenes: Sequence[SceneShares], sensor: str) -> list[datetime]:
    return [each.time for each in scenes if each.sensor == sensor and each.is_there]


def _unmasked(found: Sequence[_Looked]) -> float:
    """Return which share of the AOI no sensor's masks have."""
    if not found:
        return 0.0
    tiles = found[0].tiles
    never = [
        n for tile, (n, _) in tiles.items() if not any(each.tiles[tile][1] for each in found)
    ]
    return sum(never) / found[0].pixels


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """What one sensor's masks say of an AOI."""

    scenes: tuple[SceneShares, ...]
    pixels: int
    """Of the AOI."""
    outside: float
    """Share of them beyond the region."""
    tiles: Mapping[tuple[int, int], tuple[int, bool]]
    """Row and column of a tile -> pixels of the AOI in it, and whether any scene was masked there."""


def _look(
    sensor: str, whole: xr.Dataset, aoi: BaseGeometry | None, period: Period | None
) -> _Looked:
    dataset = scenes_in(whole, period)
    geobox = dataset.odc.geobox
    area = area_on(geobox, aoi)
    outside = pixels_outside(area, geobox)
    counts = np.zeros((dataset.sizes["time"], len(Code)), np.int64)
    unread, never = (np.full(dataset.sizes["time"], outside) for _ in range(2))
    pixels, tiles = outside, {}
    for part in parts(area, geobox, int(dataset.attrs["tile_px"])):
        pixels += part.pixels
        fingerprint = _cells(dataset["fingerprint"], part)
        counts += _counts(dataset, part, fingerprint)
        unread[np.isin(fingerprint, (NEVER, UNREADABLE))] += part.pixels
        never[fingerprint == NEVER] += part.pixels
        tiles[part.row, part.col] = part.pixels, bool((fingerprint != NEVER).any())
    if not pixels:
        edge = abs(geobox.resolution.x)
        raise QueryError(f"the AOI is too small: no centre of a pixel of {edge:g} m lies in it")
    platforms = [str(each) for each in dataset["platform"].to_numpy()]
    scenes = tuple(
        SceneShares(
            sensor=sensor,
            time=time,
            platform=platforms[at],
            pixels=pixels,
            counts={code: int(counts[at, code]) for code in Code},
            unread=int(unread[at]),
            never=int(never[at]),
        )
        for at, time in enumerate(times_of(dataset))
    )
    return _Looked(scenes=scenes, pixels=pixels, outside=outside / pixels, tiles=tiles)


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
