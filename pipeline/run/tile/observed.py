"""What decides one period in one tile: its cells, and the pixels that are read of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline import composite
from pipeline.run.common.cells import Cell
from pipeline.run.common.method import takes
from pipeline.run.tile.task import TileTask
from pipeline.types import CellReceipt, Period, Scene, ScreenSettings

Cells = Sequence[tuple[Scene, CellReceipt]]


def cells_made(task: TileTask, cells: Sequence[CellReceipt]) -> Cells:
    """Return the cells of a tile that have a mask: the task's, of which `cells` tell, and earlier ones.

    Those of sensors that the composite does not take are left out.
    """
    scenes = [cell.scene for cell in task.cells]
    made = [(s, r) for s, r in zip(scenes, cells, strict=True) if r.items]
    made += [(cell.scene, _receipt(task, cell)) for cell in task.earlier]
    made = [each for each in made if takes(task.job.composite, each[0].sensor)]
    return sorted(made, key=lambda each: (each[0].time, each[0].sensor))


def _receipt(task: TileTask, cell: Cell) -> CellReceipt:
    """Return a receipt for an earlier cell, like those of the job's cells."""
    return CellReceipt(
        sensor=cell.scene.sensor,
        time=cell.scene.time,
        tile=task.tile.name,
        status="unchanged",
        fingerprint=cell.fingerprint,
        items=tuple(map(task.item_id, cell.items)),
    )


@dataclass(frozen=True)
class CellsOf:
    """The cells of a tile that decide one period."""

    inside: Cells
    """Composed."""
    around: Cells
    """Read to screen what is composed."""
    past: Cells
    """Their masks are counted by the guard."""

    @property
    def read(self) -> Cells:
        """Those whose pixels are read."""
        return (*self.inside, *self.around)

    @classmethod
    def split(cls, period: Period, made: Cells, window: Period, past: Cells) -> CellsOf:
        """Choose the cells of a period, and of the window of time that screens it."""
        read = [each for each in made if each[1].time in window]
        return cls(
            inside=[each for each in read if each[1].time in period],
            around=[each for each in read if each[1].time not in period],
            past=past,
        )


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a period is composed of, lazy."""

    scenes: Sequence[Scene]
    """Of the period, with the items that are read."""
    around: Sequence[Scene]
    """Before and after it."""
    cube: xr.Dataset
    shown: xr.DataArray
    """(time, y, x), where their masks show the ground."""
    judged: xr.DataArray
    """The same, and where a second opinion calls it cloud or shadow (uint8): what screening sees."""
    past: tuple[xr.Dataset, xr.DataArray] | None
    """Cube, with the bands that screen, and `judged` of `around`; None: nothing is screened by it."""
    screen: ScreenSettings | None
    beside: xr.Dataset
    """(time, y, x), what the method weighs of `scenes` besides their pixels; empty: nothing."""

    def screened(self) -> xr.Dataset | None:
        """Return what `pipeline.composite.screen` makes of it; None: nothing is screened."""
        if self.screen is None:
            return None
        return composite.screen(self.cube, self.judged, self.screen, self.past)


def stacked(scenes: Iterable[Scene], usable: Mapping[Scene, NDArray[np.bool_]]) -> xr.DataArray:
    """Return where scenes show the ground, (time, y, x)."""
    return xr.DataArray(np.stack([usable[each] for each in scenes]), dims=("time", "y", "x"))
