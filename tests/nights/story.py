"""What happens in thirty nights: which items the catalogue has on each, when it is down, which model masks.

::

    each night      the scenes of the day before, if there were any
    28, 29 June     the catalogue is down
    4 July          the western item of 22 June, twelve days late, is the earliest of its scene
    6 July          the eastern item of 17 June, processed again
    8 July          the model changes
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry

from pipeline.simulate import ArchiveSettings, make_archive
from pipeline.types import Tile

SETTINGS = ArchiveSettings(
    size_px=192,
    sentinel2_dates=6,
    landsat_dates=4,
    start=date(2023, 6, 10),
    end=date(2023, 7, 12),
)
NIGHTS = [date(2023, 6, 11) + timedelta(days=n) for n in range(30)]
OUTAGE = (date(2023, 6, 28), date(2023, 6, 29))
LATE, LATE_ON = "32UPU_20230622_0_L2A", date(2023, 7, 4)
AGAIN, AGAIN_ON = "32UQU_20230617_1_L2A", date(2023, 7, 6)
NEVER = "32UPU_20230617_1_L2A"
NEW_MODEL_ON = date(2023, 7, 8)

MASK_ASSETS = {"sentinel-2": ("blue", "nir"), "landsat": ("blue", "nir08")}
COMPOSITE_ASSETS = {"sentinel-2": ("green", "red", "scl"), "landsat": ("green", "red")}
"""With the band that says what is saturated or defective; the simulated Landsat has none."""


def bright_on(night: date) -> float:
    """Return the model's option."""
    return 0.30 if night >= NEW_MODEL_ON else 0.35


@dataclass(frozen=True)
class Piece:
    """An item, and what the tests must know of it."""

    document: dict[str, Any]
    outline: BaseGeometry
    """Where it was seen, in the CRS of the grid."""

    @property
    def id(self) -> str:
        return str(self.document["id"])

    @property
    def sensor(self) -> str:
        return "landsat" if self.id.startswith("LC") else "sentinel-2"

    @property
    def day(self) -> date:
        return date.fromisoformat(self.document["properties"]["datetime"][:10])

    @property
    def scene(self) -> tuple[str, date]:
        return self.sensor, self.day

    @property
    def appears(self) -> date:
        if LATE in self.id:
            return LATE_ON
        return AGAIN_ON if AGAIN in self.id else self.day + timedelta(days=1)

    def touches(self, tile: Tile) -> bool:
        """Tell whether it saw more than the edge of a tile."""
        return self.outline.intersection(tile.geobox.extent.geom).area > 1.0


@dataclass(frozen=True)
class Story:
    """The items, in mosaic order."""

    pieces: tuple[Piece, ...]

    @classmethod
    def make(cls, folder: Path, root: str) -> Story:
        """Simulate the archive; `root` is the URL of the folder."""
        catalogue = make_archive(folder, SETTINGS, workers=1)
        found = pystac.read_file(catalogue).get_items(recursive=True)
        pieces = [_piece(each, folder, root) for each in found if NEVER not in each.id]
        pieces.sort(key=lambda each: (each.document["properties"]["datetime"], each.id))
        story = cls(tuple(pieces))
        assert sum(LATE in each.id or AGAIN in each.id for each in story.pieces) == 2
        return story

    def listed(self, night: date) -> list[dict[str, Any]]:
        """Return what the catalogue lists."""
        return [each.document for each in self.pieces if each.appears <= night]

    def used(self, night: date) -> list[Piece]:
        """Return what is to be used of it: the newest processings."""
        old = AGAIN.replace("_1_", "_0_") if night >= AGAIN_ON else "none"
        return [each for each in self.pieces if each.appears <= night and old not in each.id]


def _piece(item: pystac.Item, folder: Path, root: str) -> Piece:
    item.make_asset_hrefs_absolute()
    for asset in item.assets.values():
        asset.href = asset.href.replace(str(folder), root)
    item.clear_links()
    to_grid = Transformer.from_crs(4326, 32632, always_xy=True).transform

    def moved(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(to_grid(*points.T), axis=1)

    outline = shapely.transform(shapely.geometry.shape(item.geometry), moved)
    document = item.to_dict(include_self_link=False, transform_hrefs=False)
    return Piece(json.loads(json.dumps(document)), outline)


# -- what must be read -------------------------------------------------------------------------

Cell = tuple[tuple[str, date], str]
"""Scene and name of the tile."""


@dataclass(frozen=True)
class Must:
    """What a run has to read, told from the items alone."""

    cells: dict[Cell, list[Piece]]
    """Cells to mask, and all that they are made of."""
    periods: set[tuple[date, str]]
    """First days of months, and tiles, to compose."""
    new: list[Piece]
    """What the last run did not have."""

    @classmethod
    def of(
        cls, tiles: tuple[Tile, ...], before: list[Piece], now: list[Piece], *, all_again: bool
    ) -> Must:
        """Compare the items used by the last run with those of this one."""
        had = {cell: [each.id for each in made_of] for cell, made_of in _cells(tiles, before)}
        cells = {
            cell: made_of
            for cell, made_of in _cells(tiles, now)
            if all_again or had.get(cell) != [each.id for each in made_of]
        }
        periods = {(day.replace(day=1), tile) for (_, day), tile in cells}
        return cls(cells, periods, [each for each in now if each not in before])

    def mask_reads(self) -> set[tuple[str, str]]:
        """Return (item, asset) of what is read to mask."""
        return {
            (each.id, asset)
            for made_of in self.cells.values()
            for each in made_of
            for asset in MASK_ASSETS[each.sensor]
        }

    def composite_reads(
        self, tiles: tuple[Tile, ...], now: list[Piece], usable: set[Cell]
    ) -> set[tuple[str, str]]:
        """Return the same to compose, given in which cells anything is usable."""
        return {
            (each.id, asset)
            for (scene, tile), made_of in _cells(tiles, now)
            if (scene[1].replace(day=1), tile) in self.periods and (scene, tile) in usable
            for each in made_of
            for asset in COMPOSITE_ASSETS[each.sensor]
        }


def _cells(tiles: tuple[Tile, ...], pieces: list[Piece]) -> Iterator[tuple[Cell, list[Piece]]]:
    scenes = dict.fromkeys(each.scene for each in pieces)
    for tile in tiles:
        for scene in scenes:
            made_of = [each for each in pieces if each.scene == scene and each.touches(tile)]
            if made_of:
                yield (scene, tile.name), made_of
