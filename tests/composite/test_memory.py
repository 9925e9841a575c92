"""The arithmetic of memory is what is measured."""

import tracemalloc

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from pipeline.composite import (
    as_they_lie,
    block_px,
    bytes_needed,
    compose,
    method,
    screen,
)
from pipeline.types import ScreenSettings

ROLES = ("blue", "nir", "swir16")


@given(st.integers(1, 200), st.integers(1, 12), st.integers(2**20, 2**32))
def test_blocks_fit_their_budget_and_divide_tiles(n_times, n_roles, budget):
    edge = block_px(n_times, n_roles, budget)
    assert edge & (edge - 1) == 0
    assert edge >= 16
    observations = edge**2 * n_times * (4 * n_roles + 5)
    assert observations <= budget or edge == 16


@pytest.mark.parametrize("screened", [False, True])
@pytest.mark.parametrize(
    ("workers", "name"), [(1, "median"), (2, "median"), (1, "mean"), (2, "mean")]
)
def test_the_peak_is_foreseen(workers, name, screened):
    n_times, tile_px, budget = 24, 512, 64 * 2**20
    edge = block_px(n_times, len(ROLES), budget)
    assert edge < tile_px
    dims, shape = ("time", "y", "x"), (n_times, tile_px, tile_px)
    blocks = (1, edge, edge)
    cube = xr.Dataset(
        {
            role: (
                dims,
                # Of equal numbers Dask would make one array.
                da.full(shape, level, dtype=np.float32, chunks=blocks).map_blocks(np.array),
            )
            for role, level in zip(ROLES, (0.1, 0.3, 0.2), strict=True)
        }
        | {
            "source": (
                dims,
                da.zeros(shape, dtype=np.int32, chunks=blocks).map_blocks(np.array),
            )
        },
        coords={"time": np.arange(n_times).astype("datetime64[D]").astype("datetime64[ns]")},
    )
    usable = xr.DataArray(
        da.ones(shape, dtype=bool, chunks=blocks).map_blocks(np.array), dims=dims
    )

    def composed(cube, usable):
        if not screened:
            return compose(cube, usable, name)
        seen = screen(cube, usable, ScreenSettings())
        return compose(cube, seen["kept"], name).assign(suspect=seen["suspect"])

    composite = composed(cube, usable)
    composed(cube.isel(x=slice(8)), usable.isel(x=slice(8))).compute()  # compiled once
    tracemalloc.start()
    with dask.config.set(scheduler="threads", num_workers=workers):
        composite.compute()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    packed = not as_they_lie(method(name), n_times, len(ROLES))
    assert packed == (name == "mean")
    foreseen = bytes_needed(
        tile_px,
        n_times,
        len(ROLES),
        workers,
        budget,
        n_layers=int(screened),
        screened=screened,
        packed=packed,
    )
    print(peak, foreseen, foreseen / peak)
    assert peak < foreseen
    # Of several workers each may have a block of its own: how many do at once is up to Dask, and no test of ours.
    assert workers > 1 or foreseen < 1.2 * peak
