"""Masks and composites as cloud optimised GeoTIFF, one band a time and variable.

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
import rasterio.shutil
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp

from pipeline.types import LEGEND
from pipeline.types.legend import SIDECAR, colour_table, qgis_style, sidecar

BLOCK_PX = 512

CACHE_MB = 64
"""What GDAL may keep of blocks; its own choice is a twentieth of the machine."""

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
    alone: bool
    """Whether the file has no other time."""

    @property
    def description(self) -> str:
        if self.stamp and self.name == "mask":
            return self.stamp
        return self.name if self.alone else f"{self.stamp} {self.name}"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Numbers:
    """How values become the numbers of a file: value = number × scale."""

    dtype: str
    nodata: float
    scale: float = 1.0

    def of(self, band: _Band) -> NDArray[Any]:
        """Return the numbers (y, x) of a band."""
        pixels = np.asarray(band.values.transpose("y", "x").to_numpy())
        if self.scale != 1.0:
            steps = np.rint(pixels.astype(np.float64) / self.scale)
            return np.where(np.isnan(steps), self.nodata, steps).astype(self.dtype)
        if self.dtype == "float32" and band.name in NONE_IS_NEGATIVE:
            return np.where(pixels < 0, np.float32(np.nan), pixels.astype(self.dtype))
        return pixels.astype(self.dtype)


def write_geotiff(dataset: xr.Dataset, path: Path) -> None:
    """Write the pixels of a dataset as a COG, and beside masks what names their classes.

    Parameters
    ----------
    dataset
        Masks become uint8 with nodata 0. Reflectance alone becomes the integers that the store has, with
        their scale and nodata; with other variables beside it, all become float32 with nodata NaN.
    path
        The file; it must not be there.
    """
    bands = list(_bands(dataset))
    numbers = _numbers(bands)
    codes = numbers.dtype == "uint8"
    masks = [number for number, band in enumerate(bands, 1) if codes and band.name == "mask"]
    plain = path.with_name(f"{path.name}.plain")
    with rasterio.open(
        plain, "w", **_profile(dataset.odc.geobox, len(bands), numbers)
    ) as raster:
        if masks:
            raster.update_tags(classes=", ".join(f"{e.code.value} {e.meaning}" for e in LEGEND))
        if masks == [1] and len(bands) == 1:
            raster.write_colormap(1, colour_table())
        raster.colorinterp = [_interpretation(band, codes=codes) for band in bands]
        raster.units = tuple(band.unit for band in bands)
        raster.scales = (numbers.scale,) * len(bands)
        for number, band in enumerate(bands, start=1):
            raster.write(numbers.of(band), number)
            raster.set_band_description(number, band.description)
            raster.update_tags(number, **band.tags)
    lay_out(
        plain, path, overviews="average" if numbers.scale != 1.0 else "nearest", codes=codes
    )
    plain.unlink()
    if masks:
        path.with_name(path.name + SIDECAR).write_text(sidecar(masks), encoding="utf-8")
    if masks and len(bands) > 1:
        path.with_suffix(".qml").write_text(qgis_style(), encoding="utf-8")


def lay_out(
    plain: Path, path: Path, *, overviews: Literal["nearest", "average"], codes: bool
) -> None:
    """Copy a GeoTIFF block by block to a COG.

    Parameters
    ----------
    plain, path
        What is read, and what is written.
    overviews
        How pixels become a larger one: codes and numbers of items are never averaged.
    codes
        Whether numbers are codes; else neighbours are alike, and their differences take less room.
    """
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB):
        rasterio.shutil.copy(
            plain,
            path,
            driver="COG",
            blocksize=BLOCK_PX,
            compress="deflate",
            bigtiff="if_safer",
            overviews="ignore_existing",
            overview_resampling=overviews,
            predictor="no" if codes else "standard",
        )


def _profile(geobox: GeoBox, count: int, numbers: _Numbers) -> dict[str, Any]:
    height, width = geobox.shape
    assert geobox.crs is not None, "the pixels of an archive have a CRS"
    return {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": count,
        "dtype": numbers.dtype,
        "nodata": numbers.nodata,
        "crs": geobox.crs.to_wkt(),
        "transform": geobox.affine,
        "tiled": True,
        "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX,
        "interleave": "band",
        # Else three bytes would be taken for red, green and blue, and a fourth for alpha.
        "photometric": "minisblack",
        "bigtiff": "if_safer",
    }


def _numbers(bands: Sequence[_Band]) -> _Numbers:
    if all(band.name in CODES for band in bands):
        return _Numbers(dtype="uint8", nodata=0)
    packed = {
        (str(kept["dtype"]), kept["_FillValue"], kept["scale_factor"])
        if (kept := band.values.encoding).keys() >= {"dtype", "_FillValue", "scale_factor"}
        else None
        for band in bands
    }
    if len(packed) == 1 and (one := packed.pop()) is not None:
        # The shortest decimal of a float32: 0.0001, not 0.00009999999747378752.
        return _Numbers(
            dtype=one[0], nodata=float(one[1]), scale=float(str(np.float32(one[2])))
        )
    return _Numbers(dtype="float32", nodata=float("nan"))


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
            yield _Band(
                name=name,
                values=values,
                first=at == 0,
                stamp=stamps[at],
                alone=len(steps) == 1,
            )


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
