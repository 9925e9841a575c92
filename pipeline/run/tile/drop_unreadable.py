"""What both halves of a tile's work do about items that cannot be read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import dask
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import AssetError
from pipeline.run.tile.task import TileOrder
from pipeline.types import UNFIT, Dropped, Job, Scene, Stage, Unfit

T = TypeVar("T")


@dataclass(frozen=True)
class Reading:
    """Reads of one tile, the items that were given up meanwhile, and the numbers that were left out."""

    order: TileOrder
    stage: Stage
    dropped: list[Dropped] = field(default_factory=list)
    unfit: list[Unfit] = field(default_factory=list)

    def note(self, scenes: Iterable[Scene], counts: Iterable[NDArray[np.int64]]) -> None:
        """Take note of how many pixels of each kind of `UNFIT` scenes hold."""
        for scene, row in zip(scenes, counts, strict=True):
            pixels = {name: int(n) for name, n in zip(UNFIT, row, strict=True) if n}
            if pixels:
                self.unfit.append(
                    Unfit(
                        sensor=scene.sensor,
                        time=scene.time,
                        tile=self.order.tile.name,
                        stage=self.stage,
                        pixels=pixels,
                    )
                )

    def without_unreadable(
        self, used: Mapping[Scene, list[int]], compute: Callable[[], T]
    ) -> T:
        """Compute; whenever an item cannot be read, take it out of `used` and compute again.

        Raises
        ------
        AssetError
            The job wants no item dropped.
        AssetUnavailableError
            The item may be there later, and this is not the last try.
        """
        while True:
            try:
                return compute()
            except AssetError as error:
                if error.retryable and not self.order.last_try:
                    raise
                if self.order.job.cube.unreadable == "fail":
                    raise
                self._drop(used, error)

    def _drop(self, used: Mapping[Scene, list[int]], error: AssetError) -> None:
        for positions in used.values():
            for position in positions:
                if self.order.item_id(position) == error.item_id:
                    positions.remove(position)
                    reason = f"asset {error.asset!r} {error.reason}"
                    self.dropped.append(
                        Dropped(item_id=error.item_id, reason=reason, tile=self.order.tile.name)
                    )
                    return
        raise error


def with_items(
    scenes: Sequence[Scene], used: Mapping[Scene, Sequence[int]]
) -> dict[Scene, Scene]:
    """Return scenes with only the items in use; those without any are left out."""
    return {
        scene: dataclasses.replace(scene, items=tuple(used[scene]))
        for scene in scenes
        if used[scene]
    }


def inner_threads(job: Job) -> dask.config.set:
    """Return the context in which a tile's graph runs on this process's own threads."""
    return dask.config.set(scheduler="threads", num_workers=job.run.workers)
