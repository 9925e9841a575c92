"""Count what evidence from time put aside, for the record."""

from __future__ import annotations

from collections.abc import Sequence

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline.composite import BRIGHT, DARK, RESTORED, UNUSABLE
from pipeline.run.tile.drop_unreadable import counted
from pipeline.types import Period, Scene, Screened, ScreenedScene

KINDS = ("usable", "cloud", "shadow", "restored")


def screened_counts(state: da.Array) -> da.Array:
    """Count observations in each block, lazily: (time, y, x) states -> (time, kind of `KINDS`, rows, columns of blocks)."""
    return counted(_masks, state, len(KINDS))


def _masks(state: NDArray[np.uint8]) -> list[NDArray[np.bool_]]:
    return [state != UNUSABLE, state == BRIGHT, state == DARK, state == RESTORED]


def screened_in(
    composite: str,
    period: Period,
    tile: str,
    scenes: Sequence[Scene],
    counts: NDArray[np.int64],
    made: xr.Dataset,
) -> Screened:
    """Return a tile's part of the record; `counts` as of `screened_counts`, `made` the composite."""
    return Screened(
        composite=composite,
        period=f"{period.start:%Y-%m-%d}",
        tile=tile,
        filled=int((made["count"] > 0).sum()),
        suspect=int((made["suspect"] == 1).sum()),
        scenes=tuple(
            ScreenedScene(
                sensor=scene.sensor,
                time=scene.time,
                pixels=dict(zip(KINDS, row, strict=True)),
            )
            for scene, row in zip(scenes, counts.tolist(), strict=True)
        ),
    )
