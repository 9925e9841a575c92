"""One tile, in two halves that may run in two processes: mask what changed, compose what that changes.

If an asset cannot be read, its item is dropped in this tile, with the reason on the receipt; other items
of the scene fill what they cover. A cell whose items all failed is recorded as unreadable, which is
neither no data nor cloud.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import closing, nullcontext

from pipeline.run.common.cellstore import CellStore
from pipeline.run.common.clock import measured
from pipeline.run.tile.composites import compose_periods
from pipeline.run.tile.drop_unreadable import Losses
from pipeline.run.tile.masking import Masker, mask_cells
from pipeline.run.tile.task import TileTask
from pipeline.types import Cost, TileReceipt


def mask_tile(
    task: TileTask,
    store: CellStore,
    on_cell: Callable[[], None] = lambda: None,
    masker: Masker | None = None,
) -> TileReceipt:
    """Do the first half of a task; `on_cell` is called for each cell.

    A masker may have begun before, and go on with the next tile; if it raises, it is to be told to forget that.
    """
    losses, stages = Losses(task, "mask"), dict[str, Cost]()
    with (
        closing(Masker()) if masker is None else nullcontext(masker) as own,
        measured(stages, "mask"),
    ):
        cells = mask_cells(task, store, losses, on_cell, own)
    return TileReceipt(
        tile=task.tile.name,
        cells=tuple(cells),
        dropped=tuple(losses.dropped),
        unfit=losses.unfit,
        stages=stages,
    )


def compose_tile(
    task: TileTask,
    masked: TileReceipt,
    store: CellStore,
    on_period: Callable[[], None] = lambda: None,
) -> TileReceipt:
    """Do the second half, on a store where the first half is written; `on_period` is called for each."""
    losses, stages = Losses(task, "composite"), dict(masked.stages)
    if not task.job.composed:
        return masked
    with measured(stages, "composite"):
        composed = compose_periods(task, masked.cells, store, losses, on_period)
    return dataclasses.replace(
        masked,
        composites=composed,
        dropped=(*masked.dropped, *losses.dropped),
        unfit=masked.unfit + losses.unfit,
        screened=tuple(losses.screened),
        stages=stages,
    )
