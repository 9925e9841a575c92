"""Files for other programs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import xarray as xr

from pipeline.errors import QueryError
from pipeline.query.cf import write_netcdf, write_zarr
from pipeline.query.geotiff import stale, write_geotiff
from pipeline.query.picture import write_png

Writer = Callable[[xr.Dataset, Path], None]
WRITERS: dict[str, Writer] = {
    ".zarr": write_zarr,
    ".nc": write_netcdf,
    ".tif": write_geotiff,
    ".tiff": write_geotiff,
    ".png": write_png,
}
"""Suffix -> what writes such files."""


def export(dataset: xr.Dataset, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write masks or composites to a file; the suffix says which kind.

    ``.zarr`` and ``.nc`` take the dataset as it is, by the CF conventions: ``day`` of composites is
    read back as a date. ``.tif`` is a COG of its pixels, one band a time and variable: masks as uint8
    with nodata 0 and the colours of the legend; reflectance alone as int16 with its scale and nodata;
    with ``count``, ``day`` or ``source`` beside it as float32 with nodata NaN. ``.png`` shows one date.

    Parameters
    ----------
    dataset
        What `select_masks` or an archive gives, or a part of it.
    path
        File to write; it appears when it is complete. Beside masks as ``.tif`` lie the names of their
        classes (``.tif.aux.xml``) and, if they are several, a style for QGIS (``.qml``).
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
    if "time" in dataset.dims and not dataset.sizes["time"]:
        raise QueryError(f"nothing to write to {target.name}: no scenes in the selection")
    if not any({"y", "x"} <= {*each.dims} for each in dataset.data_vars.values()):
        raise QueryError(f"nothing to write to {target.name}: no pixels in the selection")
    target.parent.mkdir(parents=True, exist_ok=True)
    # A folder, because some kinds are a file and what lies beside it.
    unfinished = target.with_name(f".{target.stem}.{os.getpid()}")
    unfinished.mkdir()
    try:
        write(dataset, unfinished / target.name)
        _move_all(unfinished, target)
    finally:
        shutil.rmtree(unfinished)
    return target


def _move_all(unfinished: Path, target: Path) -> None:
    """Move what was written to the target, the file itself last; what belonged to an older file goes."""
    if target.suffix.lower() in (".tif", ".tiff", ".png"):
        for old in stale(target):
            old.unlink(missing_ok=True)
    for each in unfinished.iterdir():
        beside = target.with_name(each.name)
        if beside != target and not beside.exists():
            each.rename(beside)
    _move(unfinished / target.name, target)


def _may_replace(target: Path, *, overwrite: bool) -> None:
    if not overwrite:
        raise QueryError(
            f"{target} is there already: choose another name, or allow to overwrite"
        )
    # A folder is only replaced if it is plainly one of ours.
    ours = any((target / name).is_file() for name in (".zgroup", "zarr.json"))
    if target.is_dir() and not ours:
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
