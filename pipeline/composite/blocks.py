"""Cube + usable -> composite, block by block.

Every pixel is decided from its own observations by elementwise arithmetic in a fixed order, so that
chunks, blocks and strips never change a bit of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline.composite.median import median

Method = Callable[[Sequence[NDArray[np.float32]], NDArray[np.bool_]], list[NDArray[np.float64]]]
"""One value a band from the usable observations of N pixels.

``(bands, usable)``, where each band is (T, N) reflectance, finite where the (T, N) `usable` is true
and anything elsewhere, gives one (N,) array a band. What stands where nothing is usable does not
matter. A pixel's value depends on its own observations alone and lies within their range. It is
float64, so that which observation is nearest to it is decided before it is rounded.
"""

METHODS: Mapping[str, Method] = {"median": median}

NONE = -1
"""`day` and `source` where no observation is usable."""

NOT_BANDS = ("source", "unfit")
"""What a cube has besides its bands."""

STRIP_PX = 8192
"""Pixels that are worked on at a time: their observations of one band fit a processor's cache."""

STEPS_PER_UNIT = 800_000
"""Distances from a value are compared in whole steps of 1.25e-6 of reflectance.

Every sensor's surface reflectance is a whole number of 2.5e-6 (Sentinel-2 and HLS: 1e-4, Landsat:
2.75e-5), and half the sum of two of them a whole number of steps; float32 tells them apart up to 8.
So observations that are equally near in the sensors' own integers are equal here, whatever became of
them in float32.
"""

_LAYERS = 3
"""Arrays of a composite besides its bands: count, day, source."""


def compose(cube: xr.Dataset, usable: xr.DataArray, method: str = "median") -> xr.Dataset:
    """Compose the usable observations of one period.

    An observation counts where it is usable and all its bands are finite.

    Parameters
    ----------
    cube
        The cube contract (`pipeline.types`), the scenes of one period; numpy or dask.
    usable
        (time, y, x) booleans on the cube's pixels; numpy or dask.
    method
        One of `METHODS`.

    Returns
    -------
    Dims (y, x): the cube's roles as float32, NaN = no usable observation; ``count`` uint16 of
    usable observations; ``day`` int32 (days since 1970-01-01) and ``source`` int32 of the
    observation nearest to the value (least sum over the bands of squared differences, in whole
    `STEPS_PER_UNIT`; the earliest of equals), -1 = none. Lazy, in the cube's (y, x) chunks, where cube or usable are.

    Raises
    ------
    ValueError
        Unknown method, no scene at all, or `usable` has another shape than the cube.
    """
    if method not in METHODS:
        raise ValueError(f"no compositing method {method!r}: there are {', '.join(METHODS)}")
    roles = [str(name) for name in cube.data_vars if name not in NOT_BANDS]
    usable = usable.transpose("time", "y", "x")
    inputs = [cube[name].transpose("time", "y", "x") for name in [*roles, "source"]]
    if usable.shape != inputs[0].shape:
        raise ValueError(f"usable is {usable.shape}, the cube {inputs[0].shape} (time, y, x)")
    if not cube.sizes["time"]:
        raise ValueError("no scene to compose: take `nothing`")
    times = cube["time"].to_numpy()
    layers = _map(
        partial(
            _compose_block,
            method=METHODS[method],
            days=times.astype("datetime64[D]").astype(np.int32),
            order=np.argsort(times, kind="stable"),
        ),
        [array.data for array in [*inputs, usable]],
    )
    return _unpack(layers, roles, cube)


def nothing(shape: tuple[int, int], roles: Sequence[str]) -> xr.Dataset:
    """Return the composite of no observation at all: no data everywhere."""
    layers: dict[str, NDArray[Any]] = {
        role: np.full(shape, np.nan, np.float32) for role in roles
    }
    layers["count"] = np.zeros(shape, np.uint16)
    layers |= {name: np.full(shape, NONE, np.int32) for name in ("day", "source")}
    return xr.Dataset({name: (("y", "x"), layer) for name, layer in layers.items()})


def _map(work: Callable[..., NDArray[np.int32]], arrays: list[Any]) -> NDArray[np.int32]:
    """Apply `work` to (T, Y, X) arrays: at once, or lazily by whole columns of time.

    Dask knows no types: its array stands for numpy's here.
    """
    lazy = [array for array in arrays if isinstance(array, da.Array)]
    if not lazy:
        return work(*arrays)
    _, ys, xs = lazy[0].chunks
    columns = {0: -1, 1: ys, 2: xs}
    blocks = [
        array.rechunk(columns)
        if isinstance(array, da.Array)
        else da.from_array(array, chunks=(-1, ys, xs))
        for array in arrays
    ]
    mapped: NDArray[np.int32] = da.map_blocks(
        work,
        *blocks,
        dtype=np.int32,
        chunks=((len(arrays) - 2 + _LAYERS,), ys, xs),
        meta=np.empty((0, 0, 0), dtype=np.int32),
    )
    return mapped


def _unpack(layers: NDArray[np.int32], roles: Sequence[str], cube: xr.Dataset) -> xr.Dataset:
    """Name the layers of `_compose_block`."""
    *bands, count, day, source = layers
    variables: dict[str, Any] = {
        role: (("y", "x"), band.view(np.float32), cube[role].attrs)
        for role, band in zip(roles, bands, strict=True)
    }
    # No CF units on `day`: xarray would read it back as datetimes, and -1 as the eve of 1970.
    variables |= {
        "count": (("y", "x"), count.astype(np.uint16), {"long_name": "usable observations"}),
        "day": (
            ("y", "x"),
            day,
            {"long_name": "days since 1970-01-01 of the observation nearest to the value"},
        ),
        "source": (
            ("y", "x"),
            source,
            {"long_name": "item of the observation nearest to the value"},
        ),
    }
    coords = {name: coord for name, coord in cube.coords.items() if "time" not in coord.dims}
    coords.pop("time", None)
    return xr.Dataset(variables, coords=coords)


def _compose_block(
    *arrays: NDArray[Any],
    method: Method,
    days: NDArray[np.int32],
    order: NDArray[np.intp],
) -> NDArray[np.int32]:
    """Compose one block.

    Parameters
    ----------
    arrays
        (T, Y, X): the bands, the source, the usable.
    method
        How values are made.
    days
        (T,) days since 1970-01-01.
    order
        (T,) positions by time.

    Returns
    -------
    (B + 3, Y, X): bands, count, day, source. One array, so that Dask works on a block once; the
    float32 bands travel as their bits.
    """
    _, ny, nx = arrays[0].shape
    layers = np.empty((len(arrays) - 2 + _LAYERS, ny, nx), dtype=np.int32)
    # Overflow and inf − inf come from what is not usable, or from absurd numbers; both are told apart.
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in _strips(ny, nx):
            *bands, source, usable = (array[:, rows].reshape(len(days), -1) for array in arrays)
            usable = np.logical_and.reduce([usable, *map(np.isfinite, bands)])
            count = usable.sum(axis=0, dtype=np.int32)
            values = method(bands, usable)
            nearest = _nearest(bands, usable, values, order)
            strip = layers[:, rows].reshape(len(layers), -1)
            strip[: len(bands)] = [_only(count > 0, each).view(np.int32) for each in values]
            strip[-3] = count
            strip[-2] = np.where(count > 0, days[nearest], NONE)
            strip[-1] = np.where(count > 0, source[nearest, np.arange(count.size)], NONE)
            layers[:, rows] = strip.reshape(len(layers), -1, nx)
    return layers


def _strips(ny: int, nx: int) -> Iterator[slice]:
    """Yield the rows of a block, a few at a time."""
    step = max(1, STRIP_PX // max(nx, 1))
    for start in range(0, ny, step):
        yield slice(start, min(start + step, ny))


def _only(where: NDArray[np.bool_], value: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round values, and put NaN where one stands for nothing."""
    return np.where(where, value.astype(np.float32), np.float32(np.nan))


def _nearest(
    bands: Sequence[NDArray[np.float32]],
    usable: NDArray[np.bool_],
    values: Sequence[NDArray[np.float64]],
    order: NDArray[np.intp],
) -> NDArray[np.intp]:
    """Find the usable observation nearest to the values, the earliest of equals.

    Returns
    -------
    (N,) positions on the time axis; 0 where nothing is usable.
    """
    best = np.full(usable.shape[1], np.inf)
    nearest = np.zeros(usable.shape[1], dtype=np.intp)
    steps, distance = np.empty_like(best), np.empty_like(best)
    for t in order:
        distance.fill(0)
        for band, value in zip(bands, values, strict=True):
            np.subtract(band[t], value, out=steps)
            steps *= STEPS_PER_UNIT
            np.rint(steps, out=steps)
            steps *= steps
            # Whole numbers, and sums of them: exact up to 2**53, in whatever order they are added.
            distance += steps
        closer = usable[t] & (distance < best)
        best[closer] = distance[closer]
        nearest[closer] = t
    return nearest
