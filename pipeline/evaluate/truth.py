"""The simulated truth: what the surface, the clouds and their shadows were.

A Zarr dataset of dims ``(time, y, x)``: ``clean_<role>`` (reflectance of the surface without any
atmosphere), ``optical_depth`` of cloud and ``light`` (what of the clear-sky near infrared light the
ground receives), with the coordinates ``time`` (instant of a scene's earliest item) and ``sensor``.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import odc.geo.xr
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline.errors import QueryError
from pipeline.types import Period

CLASSES = ("clear", "cloud", "shadow")
"""Classes of the truth, by code 0, 1, 2; a prediction is brought to the same."""

OUTSIDE = 255
"""Class where there is no truth."""

CLOUD_OPTICAL_DEPTH = 0.4
"""Optical depth above which a pixel is cloud."""

THIN_OPTICAL_DEPTH = 0.1
"""Optical depth above which a pixel that is not cloud is thin cloud: its class is clear or shadow."""

SHADOW_LIGHT = 0.80
"""Ground that receives less light than this, under no cloud, is shadow."""

NEAREST_WITHIN = np.timedelta64(5, "m")
"""Largest distance in time between a scene and its truth."""


class Truth:
    """A truth dataset, opened for reading."""

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset
        self._times: NDArray[np.datetime64] = dataset["time"].to_numpy()
        # Zarr gives strings of variable length, which do not compare with NumPy's own.
        self._sensors = np.array([str(sensor) for sensor in dataset["sensor"].to_numpy()])

    @classmethod
    def open(cls, path: Path) -> Truth:
        """Open the truth beside a simulated archive.

        Raises
        ------
        QueryError
            There is none.
        """
        try:
            # Not consolidated: works whether or not the writer consolidated, without a warning.
            dataset = xr.open_zarr(path, chunks=None, consolidated=False, decode_coords="all")
        except FileNotFoundError as error:
            raise QueryError(f"no truth at {path}: only simulated archives have one") from error
        return cls(dataset)

    def roles(self) -> set[str]:
        """Return the roles whose clean surface is known."""
        return {
            str(name).removeprefix("clean_")
            for name in self._dataset.data_vars
            if str(name).startswith("clean_")
        }

    def find(self, time: np.datetime64, sensor: str | None = None) -> int:
        """Return the position of a scene.

        Parameters
        ----------
        time
            Instant of the scene, UTC.
        sensor
            Its sensor; none: any.

        Raises
        ------
        QueryError
            The truth has no such scene within five minutes: another pass may follow in ten.
        """
        apart = np.abs(self._times - time)
        if sensor is not None:
            apart = np.where(self._sensors == sensor, apart, 2 * NEAREST_WITHIN)
        if not apart.size or apart.min() > NEAREST_WITHIN:
            raise QueryError(f"the truth has no scene of {sensor or 'any sensor'} at {time}")
        return int(apart.argmin())

    @property
    def sensors(self) -> tuple[str, ...]:
        """Sensors whose scenes are known, by name."""
        return tuple(sorted(set(self._sensors.tolist())))

    def during(self, period: Period, sensors: Collection[str] | None = None) -> list[int]:
        """Return the positions of the scenes of a period, of some sensors or of all."""
        start, end = (_instant(moment) for moment in (period.start, period.end))
        inside = (self._times >= start) & (self._times < end)
        if sensors is not None:
            inside &= np.isin(self._sensors, sorted(sensors))
        return [int(i) for i in np.flatnonzero(inside)]

    def classes(self, scene: int, geobox: GeoBox) -> NDArray[np.uint8]:
        """Return the classes of a scene.

        Returns
        -------
        (y, x) codes of `CLASSES` on the grid, `OUTSIDE` where there is no truth.
        """
        parts = self._dataset[["optical_depth", "light"]].isel(time=scene).load()
        depth, light = (on_grid(parts[name], geobox, "nearest") for name in parts.data_vars)
        classes = np.where(light < SHADOW_LIGHT, np.uint8(2), np.uint8(0))
        classes[depth > CLOUD_OPTICAL_DEPTH] = 1
        classes[np.isnan(depth) | np.isnan(light)] = OUTSIDE
        return classes

    def thin(self, scene: int, geobox: GeoBox) -> NDArray[np.bool_]:
        """Say where a scene has cloud too thin for `classes` to call it cloud, (y, x) on the grid."""
        depth = on_grid(
            self._dataset["optical_depth"].isel(time=scene).load(), geobox, "nearest"
        )
        return (depth > THIN_OPTICAL_DEPTH) & (depth <= CLOUD_OPTICAL_DEPTH)

    def surface(self, role: str, scenes: list[int], geobox: GeoBox) -> NDArray[np.float32]:
        """Return the median of the clean surface over some scenes.

        Returns
        -------
        (y, x) reflectance on the grid, NaN where there is no truth.
        """
        coarser = geobox.resolution.x > self._dataset.odc.geobox.resolution.x
        clean = self._dataset[f"clean_{role}"].isel(time=scenes).load()
        median = clean.isel(time=0, drop=True).copy(data=np.median(clean.to_numpy(), axis=0))
        return on_grid(median, geobox, "average" if coarser else "nearest")


def _instant(moment: datetime) -> np.datetime64:
    # NumPy knows no zones.
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "ns")


def on_grid(array: xr.DataArray, geobox: GeoBox, resampling: str) -> NDArray[np.float32]:
    """Bring an array to a grid.

    Parameters
    ----------
    array
        (y, x) float32, in memory, with its own grid.
    geobox
        Where it is wanted.
    resampling
        What to do where the pixels of the two do not coincide: ``nearest`` or ``average``.

    Returns
    -------
    (y, x) float32 on the grid, NaN outside the array. Pixels that coincide are copied.
    """
    shift = _shift(array.odc.geobox, geobox)
    if shift is None:
        moved = odc.geo.xr.xr_reproject(array, geobox, resampling=resampling, dst_nodata=np.nan)
        values: NDArray[np.float32] = moved.to_numpy()
        return values
    out = np.full(geobox.shape, np.nan, dtype=np.float32)
    ys = _overlap(geobox.shape[0], array.shape[0], shift[0])
    xs = _overlap(geobox.shape[1], array.shape[1], shift[1])
    out[ys[0], xs[0]] = array.to_numpy()[ys[1], xs[1]]
    return out


def _shift(source: GeoBox, wanted: GeoBox) -> tuple[int, int] | None:
    """Return where a grid begins in another, (y, x) in pixels, if their pixels coincide."""
    a, b = source.affine, wanted.affine
    if source.crs != wanted.crs or (a.a, a.b, a.d, a.e) != (b.a, b.b, b.d, b.e):
        return None
    shift = ((b.f - a.f) / a.e, (b.c - a.c) / a.a)
    whole = (round(shift[0]), round(shift[1]))
    return whole if np.allclose(shift, whole, rtol=0, atol=1e-3) else None


def _overlap(wanted: int, there: int, start: int) -> tuple[slice, slice]:
    """Return one axis's shared pixels, in the wanted and in the existing array."""
    first = max(start, 0)
    last = max(min(start + wanted, there), first)
    return slice(first - start, last - start), slice(first, last)
