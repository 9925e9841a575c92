"""Items that cannot be read: both halves of a tile's work drop them and go on, or raise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import uuid4

import dask.array as da
import numpy as np
from dask._task_spec import Task
from numpy.typing import NDArray

from pipeline import lazy
from pipeline.errors import AssetError
from pipeline.run.tile.task import TileTask
from pipeline.types import UNFIT, Dropped, Scene, Screened, Stage, Unfit

T = TypeVar("T")


@dataclass(frozen=True)
class Losses:
    """Losses of one half of a tile's work: dropped items, and counts of pixels that are unfit or put aside."""

    task: TileTask
    stage: Stage
    dropped: list[Dropped] = field(default_factory=list)
    screened: list[Screened] = field(default_factory=list)
    _unfit: dict[tuple[str, datetime], NDArray[np.int64]] = field(default_factory=dict)
    """(sensor, time) of a scene -> pixels of each kind of `UNFIT`."""

    def count_unfit(self, scenes: Iterable[Scene], counts: Iterable[NDArray[np.int64]]) -> None:
        """Note how many pixels of each kind of `UNFIT` scenes have: a row of counts a scene.

        Several composites may read a scene, each its own bands: of each kind the most pixels that one of them saw count.
        """
        for scene, row in zip(scenes, counts, strict=True):
            known = self._unfit.setdefault((scene.sensor, scene.time), np.zeros_like(row))
            np.maximum(known, row, out=known)

    def apart(self) -> Losses:
        """Return a record of its own for a part of the work that is done in another thread."""
        return Losses(self.task, self.stage)

    def add(self, part: Losses) -> None:
        """Add what a part has lost."""
        self.dropped.extend(each for each in part.dropped if each not in self.dropped)
        self.screened.extend(part.screened)
        for scene, row in part._unfit.items():
            known = self._unfit.setdefault(scene, np.zeros_like(row))
            np.maximum(known, row, out=known)

    @property
    def unfit(self) -> tuple[Unfit, ...]:
        """Return the scenes with pixels whose numbers are no reflectance."""
        tile, stage = self.task.tile.name, self.stage
        return tuple(
            Unfit(sensor=sensor, time=time, tile=tile, stage=stage, pixels=pixels)
            for (sensor, time), row in self._unfit.items()
            if (pixels := {name: int(n) for name, n in zip(UNFIT, row, strict=True) if n})
        )

    def without_unreadable(
        self, used: Mapping[Scene, list[int]], compute: Callable[[], T]
    ) -> T:
        """Compute; where an item cannot be read, remove it from `used` and compute again.

        Raises
        ------
        AssetError
            The job allows no item to be dropped.
        AssetUnavailableError
            A later try may read the item, and this is not the last one.
        """
        while True:
            try:
                return compute()
            except AssetError as error:
                if not self.may_drop(error):
                    raise
                self._drop(used, error)

    def may_drop(self, error: AssetError) -> bool:
        """Return whether the item of an error is to be dropped: the job allows it, and no later try may read it."""
        final = self.task.last_try or not error.retryable
        return final and self.task.job.cube.unreadable == "drop"

    def _drop(self, used: Mapping[Scene, list[int]], error: AssetError) -> None:
        for positions in used.values():
            for position in positions:
                if self.task.item_id(position) == error.item_id:
                    positions.remove(position)
                    self._note(error)
                    return
        raise error

    def _note(self, error: AssetError) -> None:
        reason = f"asset {error.asset!r} {error.reason}"
        dropped = Dropped(item_id=error.item_id, reason=reason, tile=self.task.tile.name)
        # Several steps may drop the same item.
        if dropped not in self.dropped:
            self.dropped.append(dropped)


def with_items(
    scenes: Sequence[Scene], used: Mapping[Scene, Sequence[int]]
) -> dict[Scene, Scene]:
    """Return scenes with only the items in use; those without any are left out."""
    return {
        scene: dataclasses.replace(scene, items=tuple(used[scene]))
        for scene in scenes
        if used[scene]
    }


def unfit_counts(
    kinds: da.Array, weights: NDArray[np.bool_] | NDArray[np.int32] | None = None
) -> da.Array:
    """Count pixels by kind in each block, lazily: (time, y, x) as a cube's ``unfit`` -> (time, kind of `UNFIT`, rows, columns of blocks).

    `weights`, (time, y, x) or (y, x), says which pixels count, or for how many; none: each for one.
    """
    return counted(_unfit_masks, kinds, len(UNFIT), weights)


def _unfit_masks(
    kinds: NDArray[np.uint8], weights: NDArray[np.bool_] | NDArray[np.int32] | None = None
) -> list[NDArray[Any]]:
    masks = [kinds == code for code in range(1, len(UNFIT) + 1)]
    return masks if weights is None else [each * weights for each in masks]


def counted(
    masks: Callable[..., Sequence[NDArray[Any]]],
    of: da.Array,
    count: int,
    beside: NDArray[Any] | None = None,
) -> da.Array:
    """Add up, lazily, what a function makes of each block (time, y, x): -> (time, `count`, rows, columns of blocks) int64.

    One task a block, which needs no other: an expression of Dask arrays for each kind takes ten times as long as the counting, in small tiles.

    Parameters
    ----------
    masks
        A block, and what lies beside it, -> `count` arrays (time, y, x) to add up over y and x.
    of
        (time, y, x).
    count
        How many.
    beside
        (time, y, x) or (y, x); None: nothing.
    """
    places = [lazy.spans(sizes) for sizes in of.chunks]
    # A name without a hash: what is counted beside would have to be hashed.
    name, tasks = f"counted-{uuid4().hex}", dict[lazy.Key, Task]()
    for time, y, x in lazy.positions(*places):
        place = (places[0][time], places[1][y], places[2][x])
        more = [] if beside is None else [beside[place[-beside.ndim :]]]
        key = (name, time, 0, y, x)
        tasks[key] = Task(key, _sums, masks, lazy.reference(of, time, y, x), *more)
    times, ys, xs = of.chunks
    chunks = (times, (count,), (1,) * len(ys), (1,) * len(xs))
    return lazy.array(name, tasks, chunks, np.int64, [of])


def _sums(
    masks: Callable[..., Sequence[NDArray[Any]]], *blocks: NDArray[Any]
) -> NDArray[np.int64]:
    """Return (time, kind, 1, 1)."""
    sums = [each.sum(axis=(1, 2), dtype=np.int64) for each in masks(*blocks)]
    return np.stack(sums, axis=1)[:, :, None, None]
