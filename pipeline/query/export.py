"""Files for other programs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import odc.geo.xr  # noqa: F401 (the accessor .odc)
import rasterio
import xarray as xr
from numpy.typing import NDArray

from pipeline.errors import QueryError
from pipeline.types import LEGEND

KEPT = ("grid_mapping", "units", "calendar")
"""What a file takes over from how the store encodes a variable. Not the scale of composites: JSON
and most readers would make float64 of it."""
BLOCK_PX = 512


def export(dataset: xr.Dataset, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write masks or composites to a file; the suffix says which kind.

    ``.zarr`` and ``.nc`` take the dataset as it is. ``.tif`` takes its pixels, one band a time
    and variable: masks as uint8 with nodata 0, composites as float32 with nodata NaN.

    Parameters
    ----------
    dataset
        What `select_masks` or an archive gives, or a part of it.
    path
        File to write; it appears when it is complete.
    overwrite
        Replace a file that is there.

    Returns
    -------
    The path.

    Raises
    ------
    QueryError
        The suffix is unknown, the file is there, or there are no pixels to write.
    """
    target = Path(path).expanduser().absolute()
    write = WRITERS.get(target.suffix.lower())
    if write is None:
        raise QueryError(f"cannot export to {target.name!r}: end it with {', '.join(WRITERS)}")
    if target.exists():
        _may_replace(target, overwrite=overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        write(dataset, unfinished)
        _move(unfinished, target)
    finally:
        _remove(unfinished)
    return target


def _may_replace(target: Path, *, overwrite: bool) -> None:
    if not overwrite:
        raise QueryError(
            f"{target} is there already: choose another name, or allow to overwrite"
        )
    # A folder is only replaced if it is plainly one of ours.
    if target.is_dir() and not (target / "zarr.json").is_file():
        raise QueryError(f"{target} is a folder, but no Zarr group: remove it yourself")


def _move(source: Path, target: Path) -> None:
    if not target.is_dir():
        source.replace(target)
        return
    # A folder cannot be replaced in one step.
    old = target.with_name(f".{target.stem}.{os.getpid()}.old")
    target.rename(old)
    source.rename(target)
    shutil.rmtree(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# -- Zarr and NetCDF ---------------------------------------------------------------------------


def _to_zarr(dataset: xr.Dataset, path: Path) -> None:
    plain = _plain(dataset)
    for variable in plain.data_vars.values():
        if "y" in variable.dims:
            shape = zip(variable.dims, variable.shape, strict=True)
            variable.encoding["chunks"] = tuple(
                min(size, BLOCK_PX) if name in ("y", "x") else 1 for name, size in shape
            )
    plain.to_zarr(path, mode="w", zarr_format=3, consolidated=False)


def _to_netcdf(dataset: xr.Dataset, path: Path) -> None:
    plain = _plain(dataset)
    for variable in plain.data_vars.values():
        if "y" in variable.dims:
            variable.encoding |= {"zlib": True, "complevel": 4}
    plain.to_netcdf(path, engine="h5netcdf")


def _plain(dataset: xr.Dataset) -> xr.Dataset:
    """Return the dataset without the store's chunks, shards and compressors."""
    plain: xr.Dataset = dataset.copy().drop_encoding()
    for name, variable in plain.variables.items():
        before = dataset[name].encoding
        variable.encoding = {key: before[key] for key in KEPT if key in before}
        if variable.dtype.kind in "OUT":
            # Zarr 3 has a stable type for strings of any length, and none for fixed lengths.
            variable.data = np.array([str(each) for each in variable.to_numpy()], object)
    return plain


# -- GeoTIFF -----------------------------------------------------------------------------------


def _to_geotiff(dataset: xr.Dataset, path: Path) -> None:
    names = [
        str(name) for name, each in dataset.data_vars.items() if {"y", "x"} <= set(each.dims)
    ]
    is_mask = names == ["mask"]
    bands = list(_bands(dataset, names))
    if not bands:
        raise QueryError(f"nothing to write to {path.suffix}: no scenes in the selection")
    geobox = dataset.odc.geobox
    height, width = geobox.shape
    dtype = "uint8" if is_mask else "float32"
    profile = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": len(bands),
        "dtype": dtype,
        "nodata": 0 if is_mask else np.nan,
        "crs": geobox.crs.to_wkt(),
        "transform": geobox.affine,
        "tiled": True,
        "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX,
        "compress": "deflate",
        "interleave": "band",
        "bigtiff": "if_safer",
    }
    with rasterio.open(path, "w", **profile) as raster:
        if is_mask:
            raster.update_tags(classes=", ".join(f"{e.code.value} {e.meaning}" for e in LEGEND))
        for number, (description, tags, band) in enumerate(bands, start=1):
            raster.write(_pixels(band, dtype), number)
            raster.set_band_description(number, description)
            raster.update_tags(number, **tags)


def _bands(
    dataset: xr.Dataset, names: list[str]
) -> Iterator[tuple[str, dict[str, str], xr.DataArray]]:
    """Yield description, tags and pixels of every band; pixels are read when they are written."""
    steps = range(dataset.sizes["time"]) if "time" in dataset.dims else (None,)
    for step in steps:
        for name in names:
            band = dataset[name] if step is None else dataset[name].isel(time=step)
            tags = {
                key: str(band.coords[key].item())
                for key in ("sensor", "platform")
                if key in band.coords
            }
            yield _description(name, band), tags, band


def _description(name: str, band: xr.DataArray) -> str:
    if "time" not in band.coords:
        return name
    time = np.datetime_as_string(band.coords["time"].to_numpy(), unit="s") + "Z"
    return str(time) if name == "mask" else f"{time} {name}"


def _pixels(band: xr.DataArray, dtype: str) -> NDArray[Any]:
    return np.asarray(band.transpose("y", "x").to_numpy(), dtype)


WRITERS: dict[str, Callable[[xr.Dataset, Path], None]] = {
    ".zarr": _to_zarr,
    ".nc": _to_netcdf,
    ".tif": _to_geotiff,
    ".tiff": _to_geotiff,
}
