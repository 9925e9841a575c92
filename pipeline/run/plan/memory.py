"""Peak memory of a run, as arithmetic over the `bytes_needed` of each room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import psutil
from numpy.typing import NDArray

from pipeline import composite, cube, mask, models
from pipeline.mask import read_geobox
from pipeline.mask.lattice import geobox_cores
from pipeline.run.common.mask_pixels import mask_pixels
from pipeline.run.common.method import (
    layers_of,
    method_of,
    reach_m_of,
    roles_held,
    scenes_held,
)
from pipeline.run.common.threads import threads_of
from pipeline.types import Grid, Items, Job, ModelCard, Scene, Tile

BASE_BYTES = 1088 * 2**20
"""The interpreter with torch, GDAL, dask and icechunk imported and warm (820 MiB after a run with a model
that weighs nothing, Linux), fragmentation of the heap, and memory that the allocator reserves beyond the need of
windows (`pipeline.models.engine.allocator`)."""

GUARD_BYTES = 16
"""Bytes of the guard for each pixel of a tile: counts and guarded pixels of two sensors, and one mask."""

MASK_BYTES = 2
"""Bytes of a scene that is composed, for each pixel of a tile: where it shows the ground, and the same among all scenes."""

LIMIT_BYTES = 3
"""The same with `max_observations`: what is composed, what is not, and both while they are told apart."""


AHEAD_BYTES = 2
"""Codes and confidence of a scene that is masked before its tile's turn, for each pixel of a tile."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a run needs."""

    needed: int
    """Bytes at its peak."""
    across_tiles: bool
    """Whether the next tile's first scenes are masked while a tile is composed."""


def available_bytes(job: Job) -> int:
    """Return the memory that a run may use: as its job says, or what the machine has free."""
    return job.run.memory_bytes or psutil.virtual_memory().available


def memory_of(
    job: Job,
    cards: Iterable[ModelCard],
    grid: Grid,
    items: Items,
    *,
    composing: int,
    available: int | None = None,
) -> Memory:
    """State what a run needs: one tile at a time, masked, then composed.

    Parameters
    ----------
    job
        Workers and bands.
    cards
        The models in use.
    grid
        Tile size.
    items
        Where their rasters lie decides whether threads read ahead.
    composing
        What is composed at once needs, in bytes; see `composing_bytes`.
    available
        Bytes that the run may use, by default `available_bytes`: where threads read ahead, and it is enough for both, the next tile is masked while one is composed.
    """
    in_use = [*cards]
    masking = max((_masking_bytes(job, each, grid, items) for each in in_use), default=0)
    if job.composite is None:
        composing = 0
    elif job.mask.guard:
        composing += GUARD_BYTES * grid.tile_px**2
    if any(threads_of(job, each, items).ahead for each in in_use):
        held = AHEAD_BYTES * job.run.workers * grid.tile_px**2
        together = BASE_BYTES + masking + composing + held
        if together <= (available_bytes(job) if available is None else available):
            return Memory(together, across_tiles=True)
    return Memory(BASE_BYTES + max(masking, composing), across_tiles=False)


def _masking_bytes(job: Job, card: ModelCard, grid: Grid, items: Items) -> int:
    """Return what masking a tile with one model needs."""
    workers, tile = job.run.workers, next(iter(grid.tiles()))
    cores = geobox_cores(card.lattice, mask_pixels(tile.geobox, card, job.mask).wide)
    rows, cols = cores.rows * card.lattice.core_px, cores.cols * card.lattice.core_px
    halo = 2 * card.lattice.halo_px
    read = cube.bytes_needed(rows + halo, cols + halo, len(card.roles))
    masked = mask.bytes_needed(card, cores.rows, cores.cols, workers)
    windows = max(workers, card.batch)
    # A thread that reads ahead has a block of windows, and the blocks of the cube from which it is cut.
    edge = card.batch * card.lattice.core_px + card.lattice.core_px + halo
    ahead = cube.bytes_needed(card.lattice.core_px + halo, edge, len(card.roles))
    return (
        workers * read
        + masked
        + models.bytes_needed(card, windows=windows)
        + threads_of(job, card, items).ahead * ahead
    )


def composing_bytes(job: Job, grid: Grid, *, max_scenes: int) -> int:
    """Return the peak memory of composing one step in one tile, in bytes, guard not counted.

    Parameters
    ----------
    job, grid
        Workers, bands and method; tile size.
    max_scenes
        Most scenes of one period in one tile, with those that screen it.
    """
    if job.composite is None or not max_scenes:
        return 0
    n_times, n_bands = scenes_held(job.composite, max_scenes), len(job.composite.bands)
    blocks = composite.bytes_needed(
        grid.tile_px,
        n_times,
        roles_held(job.composite),
        job.run.workers,
        n_layers=len(layers_of(job.composite)),
        screened=job.composite.screen is not None,
        packed=not composite.as_they_lie(method_of(job.composite), n_times, n_bands),
    )
    limited = job.composite.max_observations is not None
    flags = MASK_BYTES + (LIMIT_BYTES if limited else 0)
    held, measuring, in_work = _beside_bytes(job, grid, max_scenes)
    # Scenes are measured before the first block is composed.
    return flags * max_scenes * grid.tile_px**2 + held + max(blocks + in_work, measuring)


def _beside_bytes(job: Job, grid: Grid, max_scenes: int) -> tuple[int, int, int]:
    """Return what distances, confidence and angles take: of the whole tile; while they are measured; in blocks in work."""
    settings = job.composite
    assert settings is not None
    method, workers = method_of(settings), job.run.workers
    reach_m = reach_m_of(method)
    n_names = sum(name in method.needs for name in composite.DISTANCES) if reach_m else 0
    held = measuring = 0
    if reach_m:
        held, measuring = composite.distances_bytes(
            grid.tile_px, reach_m, grid.resolution_m, max_scenes, n_names
        )
    confidence, angle = ("confidence" in method.needs) * 1, ("view_deg" in method.needs) * 4
    held += confidence * max_scenes * grid.tile_px**2
    edge = composite.block_px(scenes_held(settings, max_scenes), len(settings.bands))
    each = 4 * n_names + confidence + angle
    in_work = each * max_scenes * min(edge, grid.tile_px) ** 2
    return held, workers * measuring, workers * in_work


def bytes_to_mask(
    job: Job,
    cards: Mapping[str, ModelCard],
    tiles: Sequence[Tile],
    scenes: Sequence[Scene],
    items: NDArray[np.int64],
) -> int:
    """Return an upper bound of the source bytes to decode for masks; `items` are those to read, (tile, scene)."""
    total = 0.0
    for sensor, card in cards.items():
        columns = [p for p, scene in enumerate(scenes) if scene.sensor == sensor]
        per_tile = items[:, columns].sum(axis=1)
        for row in np.flatnonzero(per_tile).tolist():
            wide = mask_pixels(tiles[row].geobox, card, job.mask).wide
            shape = read_geobox(card.lattice, wide).shape
            total += float(np.prod(shape)) * float(per_tile[row]) * len(card.roles) * 2
    return round(total)
