"""Masks and composites as GeoTIFF, one band a time and variable.

Masks are paletted: a colour table, names of the classes, and the legend's colours in QGIS. A TIFF
has one colour table, for its first band; beside one of several scenes lies what names the classes
of the others (``.aux.xml``, read by GDAL) and a style (``.qml``, taken up by QGIS).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import odc.geo.xr  # noqa: F401 (the accessor .odc)
import rasterio
import xarray as xr
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from pipeline.types import LEGEND
from pipeline.types.palette import SIDECAR, colour_table, qgis_style, sidecar

BLOCK_PX = 512

CODES = ("mask", "confidence")
"""Variables of one byte, 0 = no data: alone in a file, they keep their type."""

NONE_IS_NEGATIVE = ("day", "source")
"""Variables where -1 = none: in a file of floats that is NaN, like all that has no value."""

UNITS = {"confidence": "%", "day": "days since 1970-01-01", "count": "1", "source": "1"}

COLOURS = {"red": ColorInterp.red, "green": ColorInterp.green, "blue": ColorInterp.blue}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Band:
    """One band of the file; its pixels are read when they are written."""

    name: str
    """Of the variable."""
    values: xr.DataArray
    """(y, x)."""
    first: bool
    """Whether it is of the first time."""
    stamp: str
    """Its time in UTC; empty: it has none."""

    @property
    def description(self) -> str:
        if not self.stamp:
            return self.name
        return self.stamp if self.name == "mask" else f"{self.stamp} {self.name}"

    @property
    def tags(self) -> dict[str, str]:
        coords = self.values.coords
        named = {
            key: str(coords[key].item()) for key in ("sensor", "platform") if key in coords
        }
        return named | ({"time": _text_of(self.values, "us")} if self.stamp else {})

    @property
    def unit(self) -> str:
        """What its numbers count; reflectance has none."""
        return UNITS.get(self.name, "" if self.name == "mask" else "1")


def write_geotiff(dataset: xr.Dataset, path: Path) -> None:
    """Write the pixels of a dataset, and beside masks what names their classes.

    Parameters
    ----------
    dataset
        Masks become uint8 with nodata 0; composites, or a mixture, float32 with nodata NaN.
    path
        The file; it must not be there.
    """
    bands = list(_bands(dataset))
    codes = all(band.name in CODES for band in bands)
    dtype = "uint8" if codes else "float32"
    geobox = dataset.odc.geobox
    height, width = geobox.shape
    profile = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": len(bands),
        "dtype": dtype,
        "nodata": 0 if codes else np.nan,
        "crs": geobox.crs.to_wkt(),
        "transform": geobox.affine,
        "tiled": True,
        "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX,
        "compress": "deflate",
        "interleave": "band",
        # Else three bytes would be taken for red, green and blue, and a fourth for alpha.
        "photometric": "minisblack",
        "bigtiff": "if_safer",
    }
    masks = [number for number, band in enumerate(bands, 1) if codes and band.name == "mask"]
    with rasterio.open(path, "w", **profile) as raster:
        if masks:
            raster.update_tags(classes=", ".join(f"{e.code.value} {e.meaning}" for e in LEGEND))
        if masks == [1] and len(bands) == 1:
            raster.write_colormap(1, colour_table())
        raster.colorinterp = [_interpretation(band, codes=codes) for band in bands]
        raster.units = tuple(band.unit for band in bands)
        for number, band in enumerate(bands, start=1):
            raster.write(_pixels(band, dtype), number)
            raster.set_band_description(number, band.description)
            raster.update_tags(number, **band.tags)
    if masks:
        path.with_name(path.name + SIDECAR).write_text(sidecar(masks), encoding="utf-8")
    if masks and len(bands) > 1:
        path.with_suffix(".qml").write_text(qgis_style(), encoding="utf-8")


def stale(path: Path) -> tuple[Path, ...]:
    """Return what lies beside a GeoTIFF and speaks of the one before; a style that a user made stays."""
    beside, style = path.with_name(path.name + SIDECAR), path.with_suffix(".qml")
    ours = style.is_file() and style.read_text(errors="replace") == qgis_style()
    return (beside, style) if ours else (beside,)


def _interpretation(band: _Band, *, codes: bool) -> ColorInterp:
    """Say what a band is shown as: masks by their colours, a first composite in true colour."""
    if codes:
        return ColorInterp.palette if band.name == "mask" else ColorInterp.gray
    # Of many periods QGIS shows the first.
    return (
        COLOURS.get(band.name, ColorInterp.undefined) if band.first else ColorInterp.undefined
    )


def _bands(dataset: xr.Dataset) -> Iterator[_Band]:
    names = _pixel_names(dataset)
    steps: Sequence[int | None] = (
        range(dataset.sizes["time"]) if "time" in dataset.dims else (None,)
    )
    stamps = _stamps(dataset)
    for at, step in enumerate(steps):
        for name in names:
            values = dataset[name] if step is None else dataset[name].isel(time=step)
            yield _Band(name=name, values=values, first=at == 0, stamp=stamps[at])


def _pixel_names(dataset: xr.Dataset) -> list[str]:
    """Return the variables of pixels: bands in the order of their composite, then the others."""
    names = [
        str(name) for name, each in dataset.data_vars.items() if {"y", "x"} <= {*each.dims}
    ]
    roles = [str(role) for role in np.atleast_1d(dataset.attrs.get("roles", ()))]
    last = ("confidence", "count", "day", "source")
    order = {name: at for at, name in enumerate([*roles, "mask"])}
    order |= {name: 1000 + at for at, name in enumerate(last)}
    return sorted(names, key=lambda name: order.get(name, 999))


def _stamps(dataset: xr.Dataset) -> list[str]:
    """Return the times in seconds, or finer where two scenes are of one second."""
    if "time" not in dataset.coords:
        return [""] * dataset.sizes.get("time", 1)
    times = np.atleast_1d(dataset["time"].to_numpy())
    seconds = [_stamp(time, "s") for time in times]
    sensors = dataset["sensor"].to_numpy() if "sensor" in dataset.coords else [""] * times.size
    scenes = {*zip(seconds, map(str, np.atleast_1d(sensors)), strict=True)}
    return seconds if len(scenes) == times.size else [_stamp(time, "us") for time in times]


def _stamp(time: Any, unit: Literal["s", "us"]) -> str:  # noqa: ANN401 -- a numpy.datetime64
    return str(np.datetime_as_string(time, unit=unit)) + "Z"


def _text_of(values: xr.DataArray, unit: Literal["s", "us"]) -> str:
    return _stamp(values.coords["time"].to_numpy()[()], unit)


def _pixels(band: _Band, dtype: str) -> NDArray[Any]:
    pixels = np.asarray(band.values.transpose("y", "x").to_numpy())
    if dtype == "float32" and band.name in NONE_IS_NEGATIVE:
        return np.where(pixels < 0, np.float32(np.nan), pixels.astype(dtype))
    return pixels.astype(dtype)
