"""What a run takes at its peak, as arithmetic over what each room states."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline import composite, cube, mask, models
from pipeline.mask.lattice import geobox_cover
from pipeline.types import Grid, Job, ModelCard

BASE_BYTES = 700 * 2**20
"""The interpreter with torch, GDAL, dask and icechunk imported and warm (measured, Linux)."""


def bytes_needed(
    job: Job, cards: Iterable[ModelCard], grid: Grid, *, max_items: int, max_scenes: int
) -> int:
    """Return the peak memory of a run, in bytes: one tile at a time, masked, then composed.

    Parameters
    ----------
    job
        Workers and bands.
    cards
        The models in use.
    grid
        Tile size.
    max_items
        Most items of one scene in one tile.
    max_scenes
        Most scenes of one period in one tile.
    """
    workers = job.run.workers
    tile = next(iter(grid.tiles()))
    stages = [0]
    for card in cards:
        held = geobox_cover(card.lattice, tile.geobox)
        rows, cols = held.rows * card.lattice.core_px, held.cols * card.lattice.core_px
        halo = 2 * card.lattice.halo_px
        read = cube.bytes_needed(rows + halo, cols + halo, max_items, len(card.roles))
        masked = mask.bytes_needed(card.lattice, held.rows, held.cols, len(card.roles), workers)
        stages.append(workers * read + masked + models.bytes_needed(card, windows=workers))
    if job.composite is not None:
        n_roles = len(job.composite.bands)
        stages.append(composite.bytes_needed(grid.tile_px, max_scenes, n_roles, workers))
    return BASE_BYTES + max(stages)
