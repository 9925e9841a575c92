"""Earlier scenes: the store has them, the job's search did not find them, and composites use them too.

A step of a composite is a whole calendar period, whatever dates a job asks for, and is made of all scenes
of that period in the store together with the job's. Earlier scenes come from other dates or searches, or
the catalogue has removed them. They are used as they are, with their masks and their items' settled
radiometry; they are neither searched for nor masked again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import pystac
import shapely
from numpy.typing import NDArray

from pipeline import cube
from pipeline.cube.metadata.roles import outlines_in
from pipeline.run.common.cells import group_by_cell
from pipeline.run.common.method import adjust_of, bands_read
from pipeline.run.plan.tile_index import touching
from pipeline.types import CompositeSettings, Grid, Items, Period, Scene, Tile

SceneRow = tuple[datetime, str, Sequence[str]]
"""Time, platform and item ids of a scene."""


class SceneList(Protocol):
    """The scenes and items of a store: as published, or as a run finds them on its own branch."""

    def scene_rows(self) -> Mapping[str, Sequence[SceneRow]]:
        """Return every scene, by sensor."""
        ...

    def known_items(self, ids: Iterable[str]) -> Mapping[str, tuple[int, Mapping[str, Any]]]:
        """Return position and STAC JSON of items, by id."""
        ...


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which scenes of a store a composite uses beside the job's."""

    found: frozenset[tuple[str, datetime]]
    """Sensor and time of the job's scenes."""
    sensors: frozenset[str]
    """Sensors that the composite is made of."""
    periods: Sequence[Period]
    """Scenes inside are composed, or screen what is composed."""
    histories: Sequence[Period]
    """Masks of scenes inside are counted by the guard."""
    settings: CompositeSettings
    """Of the composite: its bands, and how they are adjusted."""

    def fits(self, item: pystac.Item) -> bool:
        """Return whether an item has what the composite reads."""
        lacks = cube.missing_roles(item, bands_read(self.settings, item))
        return not lacks and adjust_of(self.settings).lacking(item) is None

    def takes(self, sensor: str, row: SceneRow) -> bool:
        """Return whether a scene is one of them."""
        time = row[0]
        return (
            sensor in self.sensors
            and any(time in each for each in (*self.periods, *self.histories))
            and (sensor, time) not in self.found
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class EarlierScenes:
    """Scenes of a store, cell by cell; see `find_earlier`."""

    scenes: tuple[Scene, ...]
    """By (time, sensor); their positions are those in `items`. A scene that only the guard counts has none."""
    items: Items
    positions: NDArray[np.int32]
    """Position in `items` -> position in the store's list."""
    sets: tuple[tuple[int, ...], ...]
    """Sets of items; the first is empty. A set is of one scene."""
    chosen: NDArray[np.int32]
    """(tile, scene) -> set of the items that may have pixels in the tile."""

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(tile, scene) -> number of items."""
        return np.array([len(each) for each in self.sets], np.int64)[self.chosen]

    def in_tile(self, row: int) -> list[Scene]:
        """Return the scenes with the items that touch a tile, by its position in `Plan.tiles`."""
        # Where no scene is taken, `chosen` may have no row either.
        rows = self.chosen[row] if self.scenes else ()
        return [
            dataclasses.replace(scene, items=self.sets[number])
            for scene, number in zip(self.scenes, rows, strict=True)
        ]


def no_scenes(n_tiles: int = 0) -> EarlierScenes:
    """Return no scenes."""
    return EarlierScenes(
        scenes=(),
        items=Items(items=()),
        positions=np.zeros(0, np.int32),
        sets=((),),
        chosen=np.zeros((n_tiles, 0), np.int32),
    )


def find_earlier(
    known: SceneList, wanted: Wanted, grid: Grid, tiles: Sequence[Tile]
) -> EarlierScenes:
    """Find the scenes of a store that composites use beside the job's.

    Parameters
    ----------
    known
        The store.
    wanted
        Which.
    grid, tiles
        Where the job works.

    Returns
    -------
    The scenes, without items that lack a band of the composite: a job without it masked them.
    """
    rows = sorted(
        (row[0], sensor, row)
        for sensor, each in known.scene_rows().items()
        for row in each
        if wanted.takes(sensor, row)
    )
    if not rows:
        return no_scenes(len(tiles))
    composed = [any(time in each for each in wanted.periods) for time, _, _ in rows]
    ids = [
        name
        for (_, _, row), used in zip(rows, composed, strict=True)
        if used
        for name in row[2]
    ]
    documents = known.known_items(ids)
    parsed = {
        name: pystac.Item.from_dict(dict(document), migrate=False)
        for name, (_, document) in documents.items()
    }
    items = {name: item for name, item in parsed.items() if wanted.fits(item)}
    local = {name: position for position, name in enumerate(items)}
    scenes = tuple(
        Scene(
            sensor=sensor,
            time=time,
            # In mosaic order, as the scene has them.
            items=tuple(local[name] for name in row[2] if name in local),
            platform=row[1],
        )
        for time, sensor, row in rows
    )
    usable = Items(items=tuple(items.values()))
    sets, chosen = _by_cell(scenes, usable, grid, tiles)
    return EarlierScenes(
        scenes=scenes,
        items=usable,
        positions=np.array([documents[name][0] for name in items], np.int32),
        sets=tuple(_ordered(sets, scenes)),
        chosen=chosen,
    )


def _by_cell(
    scenes: Sequence[Scene], items: Items, grid: Grid, tiles: Sequence[Tile]
) -> tuple[list[tuple[int, ...]], NDArray[np.int32]]:
    scene_of = np.zeros(len(items), np.int64)
    for column, scene in enumerate(scenes):
        scene_of[list(scene.items)] = column
    boxes = np.array([shapely.box(*tile.geobox.boundingbox) for tile in tiles], object)
    pairs = touching(outlines_in(items.items, str(grid.geobox.crs)), boxes)
    return group_by_cell(pairs, scene_of, (len(tiles), len(scenes)))


def _ordered(
    sets: Iterable[tuple[int, ...]], scenes: Iterable[Scene]
) -> Iterable[tuple[int, ...]]:
    """Return sets with their items as their scenes have them."""
    rank = {p: n for n, p in enumerate(p for scene in scenes for p in scene.items)}
    return (tuple(sorted(each, key=rank.__getitem__)) for each in sets)
