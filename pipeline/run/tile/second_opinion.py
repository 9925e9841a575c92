"""A second opinion for screening: what the masks that products bring along call the observations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline import cube
from pipeline.composite import BRIGHT, DARK, KEPT
from pipeline.models.families.product_masks import PRODUCTS
from pipeline.run.tile.task import TileTask
from pipeline.types import CLOUD, Code, Scene

Open = Callable[[Mapping[Scene, Scene], NDArray[np.bool_], Sequence[str]], xr.Dataset]
"""(scenes with the items to read, (time, y, x) pixels that are wanted, roles) -> their cube."""


def judged(
    task: TileTask, scenes: Mapping[Scene, Scene], shown: xr.DataArray, role: str, opened: Open
) -> xr.DataArray:
    """Say what a product's mask calls the usable pixels of scenes.

    Parameters
    ----------
    task
        Its items may have the mask, or not.
    scenes
        With the items that are read.
    shown
        (time, y, x) booleans: usable by masks and guard.
    role
        Of the product's mask.
    opened
        Opens it.

    Returns
    -------
    (time, y, x) uint8, lazy, as `pipeline.composite.screen` takes it: `KEPT` also where there is no second opinion.
    """
    having = {
        number: dataclasses.replace(scene, items=items)
        for number, scene in enumerate(scenes.values())
        if (items := tuple(p for p in scene.items if _has(task, p, role)))
    }
    flags = shown.values.astype(np.uint8)
    if not having:
        return shown.copy(data=flags)
    read = opened({scene: scene for scene in having.values()}, shown.values[[*having]], [role])
    called = da.map_blocks(_called, read[role].data, table=_table(role), dtype=np.uint8)
    layers = dict(zip(having, called, strict=True))
    nothing = da.full(called.shape[1:], KEPT, dtype=np.uint8, chunks=called.chunks[1:])
    said = da.stack([layers.get(number, nothing) for number in range(len(scenes))])
    return shown.copy(data=said * flags)


def without_opinion(task: TileTask, scenes: Iterable[Scene], role: str) -> tuple[str, ...]:
    """Return the ids of items that bring no such mask along."""
    return tuple(
        task.item_id(p) for scene in scenes for p in scene.items if not _has(task, p, role)
    )


def _has(task: TileTask, position: int, role: str) -> bool:
    return not cube.missing_roles(task.items.items[position], [role])


def _table(role: str) -> NDArray[np.uint8]:
    """Return what each number of a product's mask calls an observation; the pixels round its clouds are left to the history."""
    (product,) = (each for each in PRODUCTS.values() if each.role == role)
    codes = product.table(False)
    table = np.full(codes.shape, KEPT, np.uint8)
    table[np.isin(codes, CLOUD)] = BRIGHT
    table[codes == Code.CLOUD_SHADOW] = DARK
    return table


def _called(numbers: NDArray[Any], table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Look numbers up; NaN, and what no product has, is no opinion."""
    sound = (numbers >= 0) & (numbers < len(table))
    found: NDArray[np.uint8] = table[np.where(sound, numbers, 0).astype(np.intp)]
    found[~sound] = KEPT
    return found
