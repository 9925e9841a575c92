"""Reads parts of stored arrays as they are stored, without xarray."""

from __future__ import annotations

from typing import Any

import zarr
from numpy.typing import NDArray

from pipeline.store.arrays import layout
from pipeline.store.base.reading import read
from pipeline.store.base.translate_errors import explained
from pipeline.types.series import Reader


def reader_of(group: zarr.Group, url: str) -> Reader:
    """Return what reads parts of the arrays of a group; errors name the store's `url`."""

    def reader(name: str, where: tuple[int | slice, ...]) -> NDArray[Any]:
        with explained(f"cannot read {group.path} of the store {url}"):
            return read(layout.array_of(group, name), where)

    return reader
