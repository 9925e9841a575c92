"""One tile, in two halves that may run in two processes: mask what changed, compose what that changes.

An asset that cannot be read costs its item, in this tile, with the reason on the receipt; the
others of its scene fill what they can. A cell whose items all failed is recorded as unreadable,
which is neither no data nor cloud.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from pipeline.run.common.cellstore import CellStore
from pipeline.run.record.cost import measured
from pipeline.run.tile.composing import compose_periods
from pipeline.run.tile.drop_unreadable import Reading
from pipeline.run.tile.masking import mask_cells
from pipeline.run.tile.task import TileOrder
from pipeline.types import Cost, TileReceipt


def _nobody() -> None:
    """Tell nobody."""


def mask_tile(
    order: TileOrder, store: CellStore, told: Callable[[], None] = _nobody
) -> TileReceipt:
    """Do the first half of an order; `told` hears of each cell that is masked."""
    reading, stages = Reading(order, "mask"), dict[str, Cost]()
    with measured(stages, "mask"):
        cells = mask_cells(order, store, reading, told)
    return TileReceipt(
        tile=order.tile.name,
        cells=tuple(cells),
        dropped=tuple(reading.dropped),
        unfit=tuple(reading.unfit),
        stages=stages,
    )


def compose_tile(
    order: TileOrder,
    masked: TileReceipt,
    store: CellStore,
    told: Callable[[], None] = _nobody,
) -> TileReceipt:
    """Do the second half, on a store where the first half is written; `told` hears of each period."""
    reading, stages = Reading(order, "composite"), dict(masked.stages)
    if order.job.composite is None:
        return masked
    with measured(stages, "composite"):
        composed = compose_periods(order, masked.cells, store, reading, told)
    return dataclasses.replace(
        masked,
        composites=composed,
        dropped=(*masked.dropped, *reading.dropped),
        unfit=(*masked.unfit, *reading.unfit),
        stages=stages,
    )
