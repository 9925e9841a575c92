"""The arithmetic of memory is what is measured."""

import itertools
import threading
import tracemalloc
from typing import NamedTuple

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
    needed,
    screen,
)
from pipeline.run.common.threads import in_blocks
from pipeline.types import ScreenSettings

ROLES = ("blue", "green", "nir", "swir16")


@given(st.integers(1, 200), st.integers(1, 12), st.integers(2**20, 2**32))
def test_blocks_fit_their_budget_and_divide_tiles(n_times, n_roles, budget):
    edge = block_px(n_times, n_roles, budget)
    assert edge & (edge - 1) == 0
    assert edge >= 16
    observations = edge**2 * n_times * (4 * n_roles + 5)
    assert observations <= budget or edge == 16


N_TIMES, TILE_PX, BUDGET = 24, 512, 64 * 2**20
EDGE = block_px(N_TIMES, len(ROLES), BUDGET)


class Seen(NamedTuple):
    """What is composed, each chunk by a `reader`."""

    cube: xr.Dataset
    usable: xr.DataArray

    @classmethod
    def by(cls, reader, tile_px=TILE_PX):
        def lazy(level, dtype):
            chunks = (1, EDGE, EDGE)
            array = da.full((N_TIMES, tile_px, tile_px), level, dtype=dtype, chunks=chunks)
            return ("time", "y", "x"), array.map_blocks(reader, meta=np.empty((0, 0, 0), dtype))

        days = np.arange(N_TIMES).astype("datetime64[D]").astype("datetime64[ns]")
        bands = {role: lazy(n / 10, np.float32) for n, role in enumerate(ROLES, start=1)}
        cube = xr.Dataset(bands | {"source": lazy(0, np.int32)}, coords={"time": days})
        return cls(cube, xr.DataArray(xr.Variable(*lazy(True, bool)), coords={"time": days}))

    def composed(self, name, scenes=slice(None), *, screened=False):
        """Return the lazy layers of some scenes' composite."""
        cube, usable = (each.isel(time=scenes) for each in self)
        if not screened:
            made = compose(cube, usable, name)
        else:
            seen = screen(cube, usable, ScreenSettings())
            made = compose(cube, seen["kept"], name).assign(suspect=seen["suspect"])
        return [each.data for each in made.data_vars.values()]


@pytest.fixture
def in_step(monkeypatch):
    """Let all workers read and compose in step, so that all blocks in work are as full as they get at once."""

    def prepared(workers, name):
        barrier = threading.Barrier(workers, timeout=60)
        in_blocks(Seen.by(np.array, 8).composed(name, screened=True), 1)  # compiled once
        plainly = type(method(name)).compose

        def composed(made, seen):
            barrier.wait()
            return plainly(made, seen)

        def read(block):
            barrier.wait()
            # Of equal numbers Dask would make one array.
            return np.array(block)

        monkeypatch.setattr(type(method(name)), "compose", composed)
        return Seen.by(read)

    return prepared


def peak_of(arrays, workers):
    """Return the most that is held while arrays are computed, bytes."""
    tracemalloc.start()
    in_blocks(arrays, workers)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    ("workers", "name", "screened"),
    [
        (1, "median", False),
        (1, "mean", True),
        *itertools.product([2], ["median", "mean"], [False, True]),
        (4, "median", True),
        (4, "mean", False),
    ],
)
def test_the_peak_is_foreseen(workers, name, screened, in_step):
    assert workers <= (TILE_PX // EDGE) ** 2
    peak = peak_of(in_step(workers, name).composed(name, screened=screened), workers)
    packed = not as_they_lie(method(name), N_TIMES, len(ROLES))
    assert packed == (name == "mean")
    foreseen = bytes_needed(
        TILE_PX,
        N_TIMES,
        len(ROLES),
        workers,
        BUDGET,
        n_layers=int(screened),
        screened=screened,
        packed=packed,
    )
    assert peak < foreseen < 1.2 * peak, (peak, foreseen)


def test_composites_of_other_scenes_at_once_hold_the_observations_of_each(in_step):
    """Months and their season: of a scene that both have, each joins what it reads."""
    third, seen = N_TIMES // 3, in_step(2, "median")
    parts = [slice(None), *(slice(first, first + third) for first in (0, third, 2 * third))]
    peak = peak_of([each for part in parts for each in seen.composed("median", part)], 2)
    sizes = [
        needed(TILE_PX, n, len(ROLES), 2, EDGE, packed=False) for n in (N_TIMES, *[third] * 3)
    ]
    foreseen = sum(map(sum, sizes))
    assert peak < foreseen < 1.45 * peak, (peak, foreseen)


def test_workers_that_share_a_block_take_little_more(in_step):
    """Where there are fewer blocks than workers: each may join a band."""
    seen = in_step(1, "median")
    arrays = [each[..., :EDGE, :EDGE] for each in seen.composed("median")]
    foreseen = bytes_needed(EDGE, N_TIMES, len(ROLES), 4, BUDGET, packed=False)
    peak = peak_of(arrays, 4)
    # How many join at the same moment is luck: 40 to 42 of 62 MB were seen.
    assert peak < foreseen < 2 * peak, (peak, foreseen)
