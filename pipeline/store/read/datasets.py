"""Groups of a store as xarray Datasets. The one module of the readers that imports xarray."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
import zarr
from xarray.backends import ZarrStore
from xarray.backends.zarr import ZarrArrayWrapper
from xarray.core import indexing
from zarr.abc.store import Store

from pipeline import geozarr
from pipeline.store.base.reading import CANNOT_READ, explain
from pipeline.store.base.translate_errors import explained


def open_sorted(store: Store, group: str, url: str) -> xr.Dataset:
    """Open a group, decoded and sorted by time; values are read when they are used.

    Parameters
    ----------
    url
        Of the store, for errors.
    """
    dataset = _decoded(_open_lazily(store, group, url))
    order = np.argsort(dataset["time"].to_numpy(), kind="stable")
    return dataset if np.array_equal(order, np.arange(order.size)) else dataset.isel(time=order)


def chunked(dataset: xr.Dataset, chunks: Mapping[str, int], edge_px: int) -> xr.Dataset:
    """Return a dataset with its pixels as Dask arrays; without `chunks`, in squares of one time.

    Arrays of cells share dimensions with the pixels, but not their chunks: they stay as they are.
    """
    wanted = dict(chunks) or {"time": 1, "y": edge_px, "x": edge_px}
    return dataset.assign(
        {
            name: array.chunk({dim: n for dim, n in wanted.items() if dim in array.dims})
            for name, array in dataset.data_vars.items()
            if "y" in array.dims
        }
    )


def _decoded(stored: xr.Dataset) -> xr.Dataset:
    for variable in stored.data_vars.values():
        if "scale_factor" in variable.attrs:
            # JSON has one kind of number, and a float64 scale would make float64 reflectance.
            variable.attrs["scale_factor"] = np.float32(variable.attrs["scale_factor"])
    if "day" in stored:
        # A number here, -1 = none, by the Composite contract; CF readers get dates.
        for name in ("units", "calendar", "_FillValue"):
            stored["day"].attrs.pop(name, None)
    decoded: xr.Dataset = xr.decode_cf(stored, decode_coords="all")
    # Of the stored group; whoever cuts a part out of a dataset would carry them on.
    decoded.attrs = geozarr.without(decoded.attrs)
    return decoded


class _Explained(ZarrArrayWrapper):
    """A lazy array of xarray: it is read long after it was opened, so that its errors must name the store."""

    __slots__ = ("_url",)

    def __init__(self, array: zarr.Array[Any], url: str) -> None:
        super().__init__(array)  # type: ignore[no-untyped-call]
        self._url = url

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:  # noqa: ANN401
        try:
            return super().__getitem__(key)  # type: ignore[no-untyped-call]
        except CANNOT_READ as error:
            with explained(f"cannot read {self._url}"):
                explain(self._array, key.tuple, error)


class _LazyStore(ZarrStore):
    """A group of arrays as xarray opens it."""

    __slots__ = ("url",)
    url: str

    def open_store_variable(self, name: str) -> xr.Variable:
        """Open an array; its errors are ours."""
        found = super().open_store_variable(name)  # type: ignore[no-untyped-call]
        array = self.members[name]
        assert isinstance(array, zarr.Array)
        inner = _Explained(array, self.url)
        data = indexing.LazilyIndexedArray(inner)
        return xr.Variable(found.dims, data, found.attrs, found.encoding)


def _open_lazily(store: Store, group: str, url: str) -> xr.Dataset:
    """Open a group as it is stored; values are read when they are used, and errors name the URL."""
    opened = _LazyStore.open_group(store, mode="r", group=group, consolidated=False)
    opened.url = url
    # Of use to statistics alone, which read it without xarray.
    return xr.open_dataset(opened, decode_cf=False, drop_variables="blocks")
