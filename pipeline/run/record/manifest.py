"""The manifest of a run's record: what each tile has and lacks of each period."""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from pipeline.run.plan.plan import Plan
from pipeline.types import Period, TileReceipt
from pipeline.types.record import Holding

Key = int
"""Number of a pass: the position of its scene, or of one that has none; see `Plan.missed`."""


@dataclass(slots=True)
class _Row:
    """Positions of items, and keys of scenes, of one tile and period."""

    expected: set[int] = field(default_factory=set)
    dropped: set[int] = field(default_factory=set)
    cells: set[Key] = field(default_factory=set)
    incomplete: set[Key] = field(default_factory=set)
    unreadable: int = 0


def manifest(plan: Plan, receipts: Iterable[TileReceipt]) -> tuple[Holding, ...]:
    """List what was expected, used and dropped, tile by tile and period by period.

    Parameters
    ----------
    plan
        Its items that cover a tile are expected, including those dropped before a pixel was read.
    receipts
        Of the tiles that were done. In all others only unchanged cells are complete.

    Returns
    -------
    A row for each tile and period of the job's first composite, or for its whole period without one;
    none where no item covers the tile. Cells add up to `Record.expected` and `Record.complete`.
    """
    rows = _Manifest(plan)
    rows.add_items()
    rows.add_missed()
    done = set()
    for receipt in receipts:
        rows.add_receipt(receipt)
        done.add(receipt.tile)
    rows.add_undone(done)
    return tuple(rows.holdings())


class _Manifest:
    """Collects the rows of a manifest."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._periods = plan.periods or (plan.job.period,)
        self._period_of: dict[Key, int] = {}
        """A pass has one period, even if its items lie on both sides of midnight."""
        self._rows: defaultdict[tuple[int, int], _Row] = defaultdict(_Row)
        """(tile, period) -> row."""
        self._tiles = {tile.name: row for row, tile in enumerate(plan.tiles)}
        self._scene_of = {
            p: number for number, scene in enumerate(plan.scenes) for p in scene.items
        }
        self._number = {
            (scene.sensor, scene.time): number for number, scene in enumerate(plan.scenes)
        }
        self._positions = {item.id: p for p, item in enumerate(plan.items)}

    def add_items(self) -> None:
        """Expect the items that cover each cell."""
        cells = self._plan.cells
        periods = [
            self._period(number, scene.time) for number, scene in enumerate(self._plan.scenes)
        ]
        for tile, column in np.argwhere(cells.covered).tolist():
            row = self._rows[tile, periods[column]]
            row.expected.update(cells.sets[cells.chosen[tile, column]])
            row.cells.add(column)

    def add_missed(self) -> None:
        """Expect, and count as dropped, the items that were dropped before a pixel was read."""
        first = len(self._plan.items)
        for position, key, tile in self._plan.missed.T.tolist():
            item = self._plan.items.missed[position]
            assert item.datetime is not None
            row = self._rows[tile, self._period(key, item.datetime)]
            row.expected.add(first + position)
            row.dropped.add(first + position)
            row.cells.add(key)
            row.incomplete.add(key)

    def add_receipt(self, receipt: TileReceipt) -> None:
        """Count what could not be read."""
        tile = self._tiles[receipt.tile]
        for dropped in receipt.dropped:
            position = self._positions.get(dropped.item_id)
            if position is None:
                # Of an earlier scene: another run's manifest expects it.
                continue
            key = self._scene_of[position]
            row = self._rows[tile, self._period_of[key]]
            row.dropped.add(position)
            row.incomplete.add(key)
        for cell in receipt.cells:
            if cell.status == "unreadable":
                key = self._number[cell.sensor, cell.time]
                self._rows[tile, self._period_of[key]].unreadable += 1

    def add_undone(self, done: Collection[str]) -> None:
        """Count the new and changed cells of tiles that the run did not get to."""
        cells = self._plan.cells
        for tile, column in np.argwhere(cells.covered & ~cells.unchanged).tolist():
            if self._plan.tiles[tile].name not in done:
                self._rows[tile, self._period_of[column]].incomplete.add(column)

    def holdings(self) -> Iterator[Holding]:
        for (tile, period), row in sorted(self._rows.items()):
            yield Holding(
                tile=self._plan.tiles[tile].name,
                period=_named(self._periods[period]),
                expected=tuple(sorted(row.expected)),
                dropped=tuple(sorted(row.dropped)),
                cells=len(row.cells),
                complete=len(row.cells - row.incomplete),
                unreadable=row.unreadable,
            )

    def _period(self, key: Key, time: datetime) -> int:
        """Return the position of the period that a scene belongs to.

        A scene may have a time in the store that lies just outside: it belongs to the first or the last.
        """
        starts = [each.start for each in self._periods]
        return self._period_of.setdefault(key, max(0, bisect(starts, time) - 1))


def _named(period: Period) -> str:
    return f"{period.start:%Y-%m-%d}/{period.end:%Y-%m-%d}"
