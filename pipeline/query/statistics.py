"""Clear-sky statistics of an AOI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from pipeline.errors import QueryError
from pipeline.query.area import Part, area_on, parts, pixels_outside
from pipeline.query.edges import edge_counts
from pipeline.query.knowledge import stretches, whole_period
from pipeline.types import (
    NEVER,
    UNCOVERED,
    UNREADABLE,
    Code,
    Period,
    SceneShares,
    Series,
    StoredMasks,
)

OUTSIDE = np.uint8(255)
"""Stands for pixels that do not belong to the AOI."""


def clear_sky(
    masks: Mapping[str, StoredMasks], aoi: BaseGeometry | None, period: Period | None = None
) -> Series:
    """Count the classes in an AOI, scene by scene.

    Tiles that lie wholly in the AOI are answered from their histograms; pixels are read only
    where the AOI's edge crosses a tile. Pixels of the AOI beyond the archive's region count as
    unread, like those of cells that were never masked or could not be read.

    Parameters
    ----------
    masks
        Sensor -> masks, as `pipeline.store.Archive.stored_masks` gives them.
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
    drawn = _Drawn(aoi)
    found = [_look(sensor, each, drawn, period) for sensor, each in masks.items()]
    scenes = sorted(
        (s for each in found for s in each.scenes), key=lambda s: (s.time, s.sensor)
    )
    archived = whole_period(
        [search for each in masks.values() for search in each.searched],
        [scene.time for each in masks.values() for scene in each.scenes],
    )
    asked = period or archived
    return Series(
        scenes=tuple(scenes),
        asked=asked,
        stretches=()
        if asked is None
        else tuple(
            stretch
            for sensor, each in masks.items()
            for stretch in stretches(sensor, asked, each.searched, aoi, _times(scenes, sensor))
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


class _Drawn:
    """An AOI on the grids of masks: drawn once for all sensors of one grid."""

    def __init__(self, aoi: BaseGeometry | None) -> None:
        self._aoi = aoi
        self._known: dict[tuple[object, int], tuple[int, list[Part]]] = {}

    def on(self, masks: StoredMasks) -> tuple[int, list[Part]]:
        """Return how many pixels lie outside of the region, and the parts inside."""
        key = masks.geobox, masks.tile_px
        if key not in self._known:
            area = area_on(masks.geobox, self._aoi)
            inside = list(parts(area, masks.geobox, masks.tile_px))
            self._known[key] = pixels_outside(area, masks.geobox), inside
        return self._known[key]


def _look(sensor: str, stored: StoredMasks, drawn: _Drawn, period: Period | None) -> _Looked:
    masks = stored.within(period)
    outside, inside = drawn.on(masks)
    counts = np.zeros((len(masks.scenes), len(Code)), np.int64)
    unread, never = (np.full(len(masks.scenes), outside) for _ in range(2))
    pixels, tiles = outside, {}
    for part in inside:
        pixels += part.pixels
        fingerprint = masks.fingerprints(part.row, part.col)
        counts += _counts(masks, part, fingerprint)
        unread[np.isin(fingerprint, (NEVER, UNREADABLE))] += part.pixels
        never[fingerprint == NEVER] += part.pixels
        tiles[part.row, part.col] = part.pixels, bool((fingerprint != NEVER).any())
    if not pixels:
        edge = abs(masks.geobox.resolution.x)
        raise QueryError(f"the AOI is too small: no centre of a pixel of {edge:g} m lies in it")
    scenes = tuple(
        SceneShares(
            sensor=sensor,
            time=scene.time,
            platform=scene.platform,
            pixels=pixels,
            counts={code: int(counts[at, code]) for code in Code},
            unread=int(unread[at]),
            never=int(never[at]),
        )
        for at, scene in enumerate(masks.scenes)
    )
    return _Looked(scenes=scenes, pixels=pixels, outside=outside / pixels, tiles=tiles)


def _counts(
    masks: StoredMasks, part: Part, fingerprint: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Count the classes (scene, class) of a part."""
    counts = np.zeros((fingerprint.size, len(Code)), np.int64)
    counts[fingerprint == UNCOVERED, Code.NO_DATA] = part.pixels
    masked = np.flatnonzero(fingerprint > UNREADABLE)
    if part.inside is None:
        counts[masked] = masks.histograms(part.row, part.col)[masked]
        return counts
    if masks.has_blocks:
        counts[masked] = edge_counts(masks, part, masked)
        return counts
    for at in masked:
        # Comparing bytes takes a third of the time of selecting and counting them.
        codes = np.where(part.inside, masks.codes(int(at), part.window), OUTSIDE)
        counts[at] = [np.count_nonzero(codes == code) for code in Code]
    return counts
