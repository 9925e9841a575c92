"""Masks of an archive as labels: squares of its scenes, their pixels read again from the items' rasters."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from pipeline import cube, sensors
from pipeline.datasets import labels
from pipeline.errors import LabelledDataError
from pipeline.run.common.threads import IN_THREADS
from pipeline.run.plan.earlier import EarlierScenes, Wanted, find_earlier
from pipeline.simulate.patches import SENSORS, Ground
from pipeline.store import Archive, open_archive
from pipeline.training.sections import ArchiveSection
from pipeline.training.teacher import opinion
from pipeline.types import UNREADABLE, Code, CompositeSettings, Period, Scene, Tile

MOST_MISSING = 0.5
"""Share of a square without data or mask at which it is not learnt from."""

TRIES = 8
"""Squares that are looked at for each that is wanted."""

_ALWAYS = Period(start=datetime(1970, 1, 1, tzinfo=UTC), end=datetime(2200, 1, 1, tzinfo=UTC))


def grounds(section: ArchiveSection, edge_px: int) -> list[Ground]:
    """Read squares of an archive; which ones follows from the archive and the section alone.

    Parameters
    ----------
    section
        The archive, and how many squares of which sensor.
    edge_px
        Their edge; those of a smaller archive are as large as it.

    Returns
    -------
    Squares with reflectance, 0 where there is no data, and labels: where the masks are sure.

    Raises
    ------
    StoreError
        There is no such archive.
    LabelledDataError
        It has no mask of the sensor with the bands that are wanted.
    AssetError, AccessError
        A raster cannot be read.
    """
    archive = open_archive(section.store)
    known = {band.role: band for band in SENSORS[section.sensor].bands}
    lacking = [role for role in section.roles if role not in known]
    if lacking:
        raise LabelledDataError(
            f"archive {section.store}: sensor {section.sensor} has no {', '.join(lacking)}; it has {', '.join(known)}"
        )
    bands = [known[role] for role in section.roles]
    found: list[Ground] = []
    for scene, square, scenes, codes in _drawn(archive, section, edge_px):
        pixels = _pixels(scene, square, scenes, section.roles)
        missing = np.isnan(pixels).any(axis=0) | (codes == Code.NO_DATA)
        if missing.mean() >= MOST_MISSING:
            continue
        said = opinion(codes, shadows=section.shadows)
        drawn = np.where(missing, np.uint8(labels.NO_DATA), said)
        item = scenes.items.items[scene.items[0]]
        found.append(
            Ground(
                pixels=np.nan_to_num(pixels),
                labels=drawn,
                bands=bands,
                pixel_m=abs(square.geobox.resolution.x),
                level="L1C" if sensors.profile(item).level == "L1C" else "L2A",
            )
        )
        if len(found) == section.squares:
            break
    if not found:
        raise LabelledDataError(
            f"archive {section.store}: no mask of {section.sensor} with {', '.join(section.roles)} to learn from; "
            f"its sensors are {', '.join(archive.sensors) or 'none'}"
        )
    return found


def _drawn(
    archive: Archive, section: ArchiveSection, edge_px: int
) -> Iterator[tuple[Scene, Tile, EarlierScenes, NDArray[np.uint8]]]:
    """Yield scenes in random order, each with a square in which it has pixels, all scenes, and the mask there."""
    rng = np.random.default_rng(section.squares)
    wanted = Wanted(
        found=frozenset(),
        sensors=frozenset(each for each in archive.sensors if _is(each, section.sensor)),
        periods=(_ALWAYS,),
        histories=(),
        settings=CompositeSettings(bands=section.roles),
    )
    tiles = _masked(archive, wanted.sensors)
    squares = [
        _square(archive, tiles, rng, edge_px)
        for _ in range(TRIES * section.squares * bool(tiles))
    ]
    scenes = find_earlier(archive, wanted, archive.grid, squares)
    stored = {name: archive.stored_masks(name) for name in wanted.sensors}
    at = {
        (name, scene.time): position
        for name, masks in stored.items()
        for position, scene in enumerate(masks.scenes)
    }
    pairs = [
        (scene, number)
        for number in range(len(squares))
        for scene in scenes.in_tile(number)
        if scene.items
    ]
    for pick in rng.permutation(len(pairs)):
        scene, number = pairs[int(pick)]
        square = squares[number]
        codes = stored[scene.sensor].codes(at[scene.sensor, scene.time], square.window)
        if (codes == Code.NO_DATA).mean() < MOST_MISSING:
            yield scene, square, scenes, codes


def _is(name: str, sensor: str) -> bool:
    """Return whether an archive's sensor is of the family of a simulated one: Landsats are one there."""
    return sensor.startswith(name) or name.startswith(sensor)


def _masked(archive: Archive, names: Collection[str]) -> list[tuple[int, int]]:
    """Return the tiles (row, column) that have a mask."""
    cells = [each for name in names for each in archive.mask_fingerprints(name).values()]
    if not cells:
        return []
    found = np.argwhere(np.any([each > UNREADABLE for each in cells], axis=0))
    return [(int(row), int(col)) for row, col in found]


def _square(
    archive: Archive, tiles: Sequence[tuple[int, int]], rng: np.random.Generator, edge_px: int
) -> Tile:
    """Draw a square whose middle lies in one of the tiles."""
    whole = archive.grid.geobox
    edge = min(*whole.shape, edge_px) // 8 * 8
    tile = archive.grid.tile(*tiles[int(rng.integers(len(tiles)))])
    middles = (int(rng.integers(each.start, each.stop)) for each in tile.window)
    top, left = (
        min(max(middle - edge // 2, 0), size - edge)
        for middle, size in zip(middles, whole.shape, strict=True)
    )
    window = slice(top, top + edge), slice(left, left + edge)
    return Tile(row=0, col=0, window=window, geobox=whole[window])


def _pixels(
    scene: Scene, square: Tile, scenes: EarlierScenes, roles: Sequence[str]
) -> NDArray[np.float32]:
    edge = max(square.geobox.shape)
    opened = cube.open_cube([scene], scenes.items, square.geobox, roles, chunk_px=edge)
    read = opened[list(roles)].isel(time=0).compute(scheduler=IN_THREADS)
    return np.stack([read[role].to_numpy() for role in roles])
