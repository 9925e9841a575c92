"""How many pixels of a tile held numbers that are no reflectance, for the record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from pipeline.types import UNFIT, Scene, Unfit


def counted(kinds: da.Array, where: NDArray[np.bool_] | None = None) -> da.Array:
    """Count pixels by kind, lazily: (time, y, x) of `UNFIT` -> (time, kind)."""
    if where is not None:
        kinds = kinds * da.from_array(where, chunks=kinds.chunks)
    sums = [(kinds == code).sum(axis=(1, 2)) for code in range(1, len(UNFIT) + 1)]
    return da.stack(sums, axis=1)


def receipts(
    scenes: Iterable[Scene], counts: Iterable[NDArray[np.int64]], like: Unfit
) -> Iterator[Unfit]:
    """Yield what is said of each scene that held any; tile and stage as of `like`."""
    for scene, row in zip(scenes, counts, strict=True):
        pixels = {name: int(n) for name, n in zip(UNFIT, row, strict=True) if n}
        if pixels:
            yield Unfit(
                sensor=scene.sensor,
                time=scene.time,
                tile=like.tile,
                stage=like.stage,
                pixels=pixels,
            )
