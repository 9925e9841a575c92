"""Peak memory of a run, as arithmetic over the `bytes_needed` of each room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray

from pipeline import composite, cube, mask, models
from pipeline.mask import read_geobox
from pipeline.mask.lattice import geobox_cores
from pipeline.run.common.mask_pixels import mask_pixels
from pipeline.run.common.method import (
    adjust_of,
    layers_of,
    method_of,
    reach_m_of,
    roles_held,
    scenes_held,
)
from pipeline.run.common.threads import WAITING, threads_of
from pipeline.run.common.together import ToCompose
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
"""Codes and confidence of a scene that is masked before its turn, for each pixel of a tile."""


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
        masking += AHEAD_BYTES * job.run.workers * WAITING * grid.tile_px**2
        together = BASE_BYTES + masking + composing
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


def composing_bytes(steps: Sequence[ToCompose], grid: Grid, workers: int) -> int:
    """Return the peak memory of composing some steps at once in one tile, in bytes, guard not counted.

    What is held of the whole tile adds up. Blocks are as small as the step of most scenes needs them, and each worker has one,
    of all steps: those of the same period and bands share what they read, of others it adds up.
    """
    steps = [each for each in steps if each.most_scenes]
    if not steps:
        return 0
    edge = min(grid.tile_px, *(_chunk_px(each) for each in steps))
    beside = [_beside_bytes(each, grid, workers, edge) for each in steps]
    needed = [_blocks(each, grid, workers, edge) for each in steps]
    made = sum(each.composite for each in needed)
    tasks = sum(each.tasks for each in needed)
    shared: dict[tuple[object, ...], int] = {}
    for step, each in zip(steps, needed, strict=True):
        read = _read_by(step)
        shared[read] = max(shared.get(read, 0), each.in_work)
    in_work = sum(shared.values()) + sum(each.in_work for each in beside)
    held = sum(each.held for each in beside)
    # Scenes are measured before the first block is composed; then either the last blocks are in work, or all are done and
    # what was made is written, when it may stand twice.
    measuring = max(each.measuring for each in beside)
    return held + max(made + max(tasks + in_work, made), measuring)


def _read_by(step: ToCompose) -> tuple[object, ...]:
    """Return what decides which observations a step reads."""
    settings = step.settings
    return (
        step.period,
        settings.bands,
        settings.screen,
        settings.max_observations,
        settings.sensors,
        adjust_of(settings),
    )


def _chunk_px(step: ToCompose) -> int:
    """Return the edge of the blocks in which a step would be composed by itself."""
    held = scenes_held(step.settings, step.most_scenes)
    return composite.block_px(held, roles_held(step.settings))


def _blocks(step: ToCompose, grid: Grid, workers: int, edge_px: int) -> composite.Needed:
    settings = step.settings
    n_times = scenes_held(settings, step.most_scenes)
    method = method_of(settings)
    return composite.needed(
        grid.tile_px,
        n_times,
        roles_held(settings),
        workers,
        edge_px,
        n_layers=len(layers_of(settings)),
        screened=settings.screen is not None,
        packed=not composite.as_they_lie(method, n_times, len(settings.bands)),
    )


class _Beside(NamedTuple):
    """What a step takes beside its blocks, in bytes."""

    held: int
    """Of the whole tile."""
    measuring: int
    """While distances are measured."""
    in_work: int
    """In blocks in work."""


def _beside_bytes(step: ToCompose, grid: Grid, workers: int, edge_px: int) -> _Beside:
    """Return what flags, distances, confidence and angles take."""
    settings, n_scenes = step.settings, step.most_scenes
    method = method_of(settings)
    reach_m = reach_m_of(method)
    n_names = sum(name in method.needs for name in composite.DISTANCES) if reach_m else 0
    held = measuring = 0
    if reach_m:
        held, measuring = composite.distances_bytes(
            grid.tile_px, reach_m, grid.resolution_m, n_scenes, n_names
        )
    limited = settings.max_observations is not None
    confidence, angle = ("confidence" in method.needs) * 1, ("view_deg" in method.needs) * 4
    flags = MASK_BYTES + (LIMIT_BYTES if limited else 0) + confidence
    each = 4 * n_names + confidence + angle
    return _Beside(
        held=held + flags * n_scenes * grid.tile_px**2,
        measuring=workers * measuring,
        in_work=workers * each * n_scenes * edge_px**2,
    )


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
