"""Masks and composites as Zarr and NetCDF by the CF conventions, for readers that do not know us.

Each variable of pixels names its CRS (``spatial_ref``) as its grid mapping and among its
coordinates: xarray, rioxarray and odc-geo find it however they open the file. Times are whole
numbers of the largest unit that is exact.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import odc.geo.xr
import xarray as xr
from numpy.typing import NDArray

from pipeline import geozarr
from pipeline.errors import QueryError

CHUNK_PX = 512

ZARR_FORMAT = 2
"""GDAL reads Zarr 3 as it is written today from release 3.12 on; all that QGIS comes with read this,
and xarray reads either."""

UNITS = {"D": "days", "s": "seconds", "ms": "milliseconds", "us": "microseconds"}
"""Units of times, coarsest first. Many readers know nothing below a second."""

DAY = {"units": "days since 1970-01-01", "calendar": "proleptic_gregorian"}

BOUNDS = "time_bnds"


def write_zarr(dataset: xr.Dataset, path: Path) -> None:
    """Write a consolidated Zarr group, without shards."""
    plain = as_cf(dataset)
    for name, variable in list(plain.variables.items()):
        if variable.dtype.kind in "OUT":
            # Fixed lengths: the only texts of Zarr that GDAL reads.
            plain[name] = variable.dims, np.array(_texts(variable), str), variable.attrs
    pixels = [name for name, each in plain.data_vars.items() if "y" in each.dims]
    # Lazy ones come in the store's chunks, which may not fit those of the file.
    plain = plain.assign({name: _chunked(plain[name]) for name in pixels})
    plain.attrs |= geozarr.of_pixels(plain.odc.geobox)
    plain.to_zarr(path, mode="w", zarr_format=ZARR_FORMAT, consolidated=True)


def _chunked(pixels: xr.DataArray) -> xr.DataArray:
    wanted = {dim: CHUNK_PX if dim in ("y", "x") else 1 for dim in pixels.dims}
    sizes = zip(wanted.values(), pixels.shape, strict=True)
    chunked = pixels if pixels.chunks is None else pixels.chunk(wanted)
    chunked.encoding["chunks"] = tuple(min(each) for each in sizes)
    return chunked


def write_netcdf(dataset: xr.Dataset, path: Path) -> None:
    """Write a NetCDF 4 file."""
    plain = as_cf(dataset)
    for name, variable in list(plain.variables.items()):
        if variable.dtype.kind in "OUT":
            plain[name] = variable.dims, np.array(_texts(variable), object), variable.attrs
    for pixels in plain.data_vars.values():
        if "y" in pixels.dims:
            pixels.encoding |= {"zlib": True, "complevel": 4}
    plain.to_netcdf(path, engine="h5netcdf")


def _texts(variable: xr.Variable) -> list[str]:
    return [str(each) for each in np.atleast_1d(variable.to_numpy())]


def as_cf(dataset: xr.Dataset) -> xr.Dataset:
    """Return a dataset as it is to be written: no chunks, shards and compressors of the store.

    Raises
    ------
    QueryError
        It does not say where its pixels lie.
    """
    plain = referenced(dataset.copy().drop_encoding())
    # They speak of overviews, which a file has not, and of the whole region; NetCDF could not hold them.
    plain.attrs = geozarr.without(plain.attrs)
    _place(plain)
    _set_times(plain)
    for name, variable in plain.variables.items():
        if "flag_values" in variable.attrs:
            # As CF has it: of the variable's own type.
            values = np.asarray(variable.attrs["flag_values"], variable.dtype)
            variable.attrs["flag_values"] = values
        if name == "day" and variable.dtype.kind == "i":
            variable.attrs |= DAY
            variable.encoding["_FillValue"] = variable.dtype.type(-1)
    return plain


def referenced(dataset: xr.Dataset) -> xr.Dataset:
    """Return a dataset whose ``spatial_ref`` speaks of its own pixels.

    That of what was cut out of a region still has the region's corner: rioxarray believes it.

    Raises
    ------
    QueryError
        It does not say where its pixels lie.
    """
    geobox = dataset.odc.geobox
    if geobox is None or geobox.crs is None:
        raise QueryError("the dataset does not say where its pixels lie: keep its coordinates")
    coords = odc.geo.xr.xr_coords(geobox)
    placed: xr.Dataset = dataset.assign_coords(spatial_ref=coords["spatial_ref"])
    return placed


def _place(plain: xr.Dataset) -> None:
    """Tie the variables of pixels to their coordinates and CRS."""
    for axis in ("y", "x"):
        plain[axis].attrs |= {
            "standard_name": f"projection_{axis}_coordinate",
            "long_name": f"{axis} coordinate of projection",
            "units": "metre",
            "axis": axis.upper(),
        }
        plain[axis].encoding["_FillValue"] = None
    beside = [name for name in plain.coords if name not in (*plain.dims, BOUNDS)]
    for variable in plain.data_vars.values():
        if not {"y", "x"} <= {*variable.dims}:
            continue
        variable.encoding["grid_mapping"] = "spatial_ref"
        own = [str(name) for name in beside if {*plain[name].dims} <= {*variable.dims}]
        variable.attrs["coordinates"] = " ".join(sorted(own))


def _set_times(plain: xr.Dataset) -> None:
    """Choose how times are written: one unit for the axis and its bounds."""
    names = [name for name, each in plain.variables.items() if each.dtype.kind == "M"]
    every = [plain[name].to_numpy().ravel() for name in names]
    encoding = {"units": f"{_unit(np.concatenate(every))} since 1970-01-01"} if every else {}
    for name in names:
        plain[name].encoding = encoding | {
            "calendar": "proleptic_gregorian",
            "dtype": np.dtype("int64"),
        }
    if BOUNDS in plain.variables and "time" in plain.variables:
        plain["time"].encoding["bounds"] = BOUNDS


def _unit(times: NDArray[Any]) -> str:
    return next(
        (
            word
            for unit, word in UNITS.items()
            if (times.astype(f"datetime64[{unit}]") == times).all()
        ),
        "microseconds",
    )
