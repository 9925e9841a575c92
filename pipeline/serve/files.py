"""Masks and composites of an area as files; their size is known before anything is read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from fastapi import Response
from fastapi.responses import FileResponse
from shapely.geometry.base import BaseGeometry
from starlette.background import BackgroundTask

from pipeline.query import export, select_composite, select_masks
from pipeline.query.area import area_on, bounding_window
from pipeline.serve.answers import as_json
from pipeline.serve.problems import Refused
from pipeline.serve.state import State
from pipeline.types import LEGEND, Period

Form = Literal["tif", "nc", "png", "json", "zip"]
MEDIA_TYPES: Mapping[str, str] = {
    "tif": "image/tiff; application=geotiff",
    "nc": "application/x-netcdf",
    "png": "image/png",
    "zip": "application/zip",
}
JSON_PIXELS = 250_000
"""As text, pixels take ten times as much."""


def masks(
    state: State,
    sensors: tuple[str, ...],
    aoi: BaseGeometry,
    period: Period | None,
    most: int,
) -> xr.Dataset:
    """Return the masks of an area, read into memory; refuse more than so many pixels."""
    scenes = sum(len(state.masks(each).within(period).scenes) for each in sensors)
    _require_few(state, aoi, scenes, most)
    if not scenes:
        raise Refused(404, "no scene lies in these dates: /archives/{id} lists the scenes")
    return select_masks({each: state.archive.masks(each) for each in sensors}, aoi, period)


def composite(
    state: State,
    wanted: tuple[str, tuple[str, ...]],
    aoi: BaseGeometry,
    period: Period | None,
    most: int,
) -> xr.Dataset:
    """Return bands of a composite of an area, lazy; refuse more than so many pixels."""
    name, bands = wanted
    periods = [each for each in state.composite(name) if period is None or each.start in period]
    roles = bands or tuple(state.attributes("composites", name)["roles"])
    _require_few(state, aoi, len(periods) * len(roles), most)
    return select_composite(state.archive.composite(name), aoi, period, roles)


def _require_few(state: State, aoi: BaseGeometry, layers: int, most: int) -> None:
    geobox = state.grid.geobox
    ys, xs = bounding_window(area_on(geobox, aoi), geobox)
    pixels = (ys.stop - ys.start) * (xs.stop - xs.start) * layers
    if pixels > most:
        raise Refused(
            413,
            f"the file would have {pixels} pixels, more than {most}, the most: "
            "ask for a smaller area, fewer dates or fewer bands",
        )


def answer_with(dataset: xr.Dataset, form: Form, name: str) -> Response:
    """Return the file: streamed, and deleted when it is sent."""
    if form == "json":
        return as_json(as_numbers(dataset))
    folder = Path(tempfile.mkdtemp(prefix="cloudmask-"))
    try:
        path = _written(dataset, folder, form, name)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        path,
        media_type=MEDIA_TYPES[form],
        filename=path.name,
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


def _written(dataset: xr.Dataset, folder: Path, form: Form, name: str) -> Path:
    if form != "zip":
        return export(dataset, folder / f"{name}.{form}")
    # With what lies beside a raster: names of classes, and a style.
    export(dataset, folder / "files" / f"{name}.tif")
    return Path(shutil.make_archive(str(folder / name), "zip", folder / "files"))


def as_numbers(dataset: xr.Dataset) -> dict[str, Any]:
    """Return pixels as JSON values: rows of numbers by variable, and where they lie."""
    pixels = [each for each in dataset.data_vars.values() if {"y", "x"} <= {*each.dims}]
    if (many := sum(each.size for each in pixels)) > JSON_PIXELS:
        raise Refused(
            413, f"{many} pixels are more than {JSON_PIXELS}, the most as JSON: take tif or nc"
        )
    geobox = dataset.odc.geobox
    return {
        "crs": str(geobox.crs),
        "transform": list(geobox.affine)[:6],
        "time": _times(dataset),
        "classes": {str(int(each.code)): each.meaning for each in LEGEND}
        if "mask" in dataset
        else None,
        "values": {str(each.name): _plain(each.to_numpy()) for each in pixels},
    }


def _times(dataset: xr.Dataset) -> list[str]:
    if "time" not in dataset.coords:
        return []
    times = np.atleast_1d(dataset["time"].to_numpy())
    return [f"{np.datetime_as_string(each, unit='us')}Z" for each in times]


def _plain(values: np.ndarray[Any, Any]) -> list[Any]:
    if values.dtype.kind != "f":
        return list(values.tolist())
    numbers = np.round(values.astype(float), 6).astype(object)
    numbers[~np.isfinite(values)] = None
    return list(numbers.tolist())


def stamp(instant: datetime) -> str:
    """Return an instant as a part of a file's name."""
    return f"{instant:%Y%m%dT%H%M%S}"
