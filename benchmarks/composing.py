"""Prints what composing costs: CPU seconds a megapixel, by method, against numpy and the peers that are installed.

``python -m benchmarks.composing`` takes one thread and about a minute. Everything is composed of the same
synthetic observations (whole numbers of 1e-4; a season, light, noise and missed clouds), in turns, and the
median of the turns is printed with the least. ``--dates``, ``--bands``, ``--masked`` and ``--edge`` change them.
Residuals are of the geometric median, by the definition in `pipeline.composite.geomedian`.

Peers: geomad; odc-algo; the kernels of S2Mosaic 1 (numbagg) and 2 (its own, uint16; it gives no count, day or
source, and gets its stack ready made). bestpixel has no kernel that can be called: it composes from a STAC API to the end,
and takes one observation a pixel, as `best` does.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
import warnings
from collections.abc import Callable
from typing import NamedTuple

import dask.array as da
import numpy as np
import xarray as xr

from pipeline.composite import EVIDENCE, as_they_lie, bytes_needed, compose, method, screen
from pipeline.types import ScreenSettings

ROLES = (
    "blue",
    "green",
    "red",
    "nir",
    "swir16",
    "swir22",
    "rededge1",
    "rededge2",
    "rededge3",
    "nir08",
)
GROUND = np.array([0.05, 0.08, 0.09, 0.28, 0.22, 0.14, 0.12, 0.22, 0.25, 0.28])
OURS = {
    "median": {},
    "mean": {},
    "percentile": {"q": 25},
    "geomedian": {},
    "geomedian, deviations": {"mads": True},
    "medoid": {},
    "nearest": {},
    "best": {},
    "max": {},
    "latest": {},
    "weighted_mean": {},
}


def observations(
    dates: int, bands: int, masked: float, edge: int
) -> tuple[xr.Dataset, xr.DataArray, xr.Dataset]:
    """Return a cube, what of it is usable, and evidence."""
    rng = np.random.default_rng(0)
    shape = (dates, edge, edge)
    light = rng.lognormal(0, 0.12, shape)
    cloud = 0.4 * rng.random(shape) * (rng.random(shape) < 0.05)
    phase = np.linspace(0, 1, dates)[:, None, None] + rng.random((edge, edge))
    dims = ("time", "y", "x")
    layers = {}
    for role, level in zip(ROLES[:bands], GROUND, strict=False):
        ground = level * rng.lognormal(0, 0.3, (edge, edge))
        season = 1 + 0.3 * rng.uniform(-1, 1) * np.sin(2 * np.pi * phase)
        value = ground * season * light + rng.normal(0, 0.006, shape) + cloud
        layers[role] = (dims, (np.rint(value * 1e4) / 1e4).astype(np.float32))
    layers["source"] = (dims, np.zeros(shape, np.int32))
    time_ = np.datetime64("2024-01-05", "ns") + np.arange(dates) * np.timedelta64(5, "D")
    usable = xr.DataArray(rng.random(shape) > masked, dims=dims)
    metres = (dims, rng.uniform(0, 6000, shape).astype(np.float32))
    evidence = xr.Dataset(
        {"to_cloud_m": metres, "to_shadow_m": metres, "middle": ((), 19800.0)}
    )
    return xr.Dataset(layers, coords={"time": time_}), usable, evidence


def residual(seen: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return (N,) of (N, B, T), NaN where unusable, at (N, B)."""
    off = np.nan_to_num(seen - values[..., None].astype(np.float64))
    distance = np.sqrt((off**2).sum(axis=1))
    far = (distance > 1e-6) & np.isfinite(seen[:, 0])
    weight = np.where(far, 1 / np.where(far, distance, 1), 0)
    strength = np.sqrt(((off * weight[:, None]).sum(axis=2) ** 2).sum(axis=1))
    there = (np.isfinite(seen[:, 0]) & ~far).sum(axis=1)
    return np.maximum(strength - there, 0) / np.maximum(weight.sum(axis=1), 1)


def nanmedian(seen: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.nanmedian(seen, axis=-1)


GEOMAD, ODC = "geomad, eps 1e-4", "odc-algo, quantile .5"
S2MOSAIC_1, S2MOSAIC_2 = "S2Mosaic 1, numbagg", "S2Mosaic 2, uint16"

Work = Callable[[], object]


class Seen(NamedTuple):
    """The same observations, as peers want them."""

    bands: xr.Dataset
    """(time, y, x), every one."""
    usable: xr.DataArray
    last: np.ndarray
    """(y, x, band, time), NaN where unusable."""


def geomad(seen: Seen) -> Work:
    from geomad import nangeomedian_pcm  # noqa: PLC0415

    return lambda: nangeomedian_pcm(seen.last, maxiters=1000, eps=1e-4, num_threads=1)


def odc_algo(seen: Seen) -> Work:
    from odc.algo import xr_quantile  # noqa: PLC0415

    shown = seen.bands.where(seen.usable).transpose("time", "y", "x")
    return lambda: xr_quantile(shown, [0.5], np.nan)


def s2mosaic_1(seen: Seen) -> Work:
    from numbagg import nanquantile  # noqa: PLC0415

    stack = np.moveaxis(seen.last, (3, 2), (0, 1)).copy()
    nanquantile(stack, 0.5, axis=0)  # compiled once
    return lambda: nanquantile(stack, 0.5, axis=0)


def s2mosaic_2(seen: Seen) -> Work:
    from s2mosaic.aggregation import _quantile_axis0_u16  # noqa: PLC0415

    steps = [np.rint(np.clip(band.values, 0, 6) * 1e4) for band in seen.bands.values()]
    stack, valid = np.stack(steps, axis=1).astype(np.uint16), seen.usable.values
    _quantile_axis0_u16(stack, valid, 0.5)  # compiled once
    return lambda: _quantile_axis0_u16(stack, valid, 0.5)


def works(cube: xr.Dataset, usable: xr.DataArray, evidence: xr.Dataset) -> dict[str, Work]:
    """Return what is timed, by name."""
    roles = [name for name in cube.data_vars if name != "source"]
    seen = np.stack([np.where(usable, cube[role], np.nan) for role in roles], axis=-1)
    seen = np.ascontiguousarray(np.moveaxis(seen, 0, -1), np.float32)
    found: dict[str, Work] = {"numpy.nanmedian": lambda: nanmedian(seen)}
    for name, package, peer in (
        (GEOMAD, "geomad", geomad),
        (ODC, "odc-algo", odc_algo),
        (S2MOSAIC_1, "numbagg", s2mosaic_1),
        (S2MOSAIC_2, "s2mosaic>=2.0.0b7", s2mosaic_2),
    ):
        try:
            found[name] = peer(Seen(cube[roles], usable, seen))
        except ImportError:
            print(f"{name}: pip install '{package}'")
    if set(EVIDENCE) <= set(roles):
        found["screening"] = lambda: screen(cube, usable, ScreenSettings())
        found["screening"]()  # compiled once
    for name, options in OURS.items():
        made = method(name.split(",")[0], options)
        found[name] = lambda made=made: compose(cube, usable, made, evidence)
    return found


def spent(work: Work) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dates", type=int, default=24)
    parser.add_argument("--bands", type=int, default=6)
    parser.add_argument("--masked", type=float, default=0.45)
    parser.add_argument("--edge", type=int, default=192)
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    cube, usable, evidence = observations(given.dates, given.bands, given.masked, given.edge)
    timed = works(cube, usable, evidence)
    turns = {name: [] for name in timed}
    for _ in range(given.turns):
        for name, work in timed.items():
            turns[name].append(spent(work) * 1e6 / given.edge**2)
    print(
        f"{given.dates} dates × {given.bands} bands, {given.masked:.0%} masked; CPU seconds a megapixel"
    )
    print(f"{'':24}{'median':>8}{'least':>8}{'ns a pixel and date':>22}")
    for name, each in turns.items():
        middle, least = statistics.median(each), min(each)
        print(f"{name:24}{middle:8.2f}{least:8.2f}{least * 1e3 / given.dates:22.0f}")
    print_ratios(turns)
    print_residuals(cube, usable, timed)
    # The most that it may take: nothing is masked.
    print_memory(cube, xr.ones_like(usable), given.edge)


def print_ratios(turns: dict[str, list[float]]) -> None:
    for ours, peer in (
        ("median", "numpy.nanmedian"),
        ("median", ODC),
        ("median", S2MOSAIC_1),
        ("median", S2MOSAIC_2),
        ("geomedian", GEOMAD),
        ("median", "screening"),
    ):
        if peer in turns:
            ratios = [b / a for a, b in zip(turns[ours], turns[peer], strict=True)]
            least = min(turns[peer]) / min(turns[ours])
            print(
                f"{peer} / {ours}: {statistics.median(ratios):.2f} (of the least {least:.2f})"
            )


def print_residuals(cube: xr.Dataset, usable: xr.DataArray, timed: dict[str, Work]) -> None:
    roles = [name for name in cube.data_vars if name != "source"]
    seen = np.stack([np.where(usable, cube[role], np.nan) for role in roles], axis=-1)
    seen = np.moveaxis(seen, 0, -1).reshape(-1, len(roles), usable.shape[0])
    some = usable.values.any(axis=0).reshape(-1)
    ours = timed["geomedian"]()
    values = {"geomedian": np.stack([ours[role].values for role in roles], axis=-1)}
    if GEOMAD in timed:
        values[GEOMAD] = timed[GEOMAD]()
    for name, each in values.items():
        left = residual(seen, each.reshape(-1, len(roles)))[some]
        print(f"residual of {name}: median {np.median(left):.1e}, largest {left.max():.1e}")


def print_memory(cube: xr.Dataset, usable: xr.DataArray, edge: int) -> None:
    """Print the peak of composing one block that is opened scene by scene, as jobs do, against what is foreseen."""
    n_times, n_roles = cube.sizes["time"], len(cube.data_vars) - 1

    def opened(given: xr.DataArray) -> xr.DataArray:
        values, chunks = given.values, ((1,) * n_times, (edge,), (edge,))

        def scene(block_info: dict | None = None) -> np.ndarray:
            at = block_info[None]["chunk-location"][0]
            return values[at : at + 1].copy()

        meta = np.empty((0, 0, 0), values.dtype)
        return given.copy(data=da.map_blocks(scene, chunks=chunks, dtype=meta.dtype, meta=meta))

    for name, options in (("median", {}), ("mean", {}), ("geomedian", {"mads": True})):
        made = method(name, options)
        composite = compose(cube.map(opened), opened(usable), made)
        composite.compute(scheduler="synchronous")  # imported and compiled once
        tracemalloc.start()
        composite.compute(scheduler="synchronous")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        packed = not as_they_lie(made, n_times, n_roles)
        foreseen = bytes_needed(
            edge, n_times, n_roles, 1, n_layers=len(made.layers), packed=packed
        )
        print(
            f"memory of {name}: {peak / 2**20:.0f} MiB at its peak, {foreseen / 2**20:.0f} foreseen: "
            f"{foreseen / peak:.2f} times"
        )


if __name__ == "__main__":
    main()
