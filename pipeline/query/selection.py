"""The pixels of an AOI: masks, and composites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC

import numpy as np
import odc.geo.xr  # noqa: F401 (the accessor .odc)
import xarray as xr
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from pipeline.errors import QueryError
from pipeline.query.area import area_on, bounding_window
from pipeline.query.cf import referenced
from pipeline.query.rasterize import draw
from pipeline.types import Period

NONE = {"count": 0, "day": -1, "source": -1}
"""What a pixel without data has in variables that are no reflectance (NaN)."""


def select_masks(
    masks: Mapping[str, xr.Dataset], aoi: BaseGeometry | None, period: Period | None = None
) -> xr.Dataset:
    """Cut the masks of an AOI out of an archive, all sensors on one time axis.

    The pixels are read into memory: one byte a scene and pixel of the AOI's bounding box.

    Parameters
    ----------
    masks
        Sensor -> masks of one region, as `pipeline.store.Archive.masks` gives them.
    aoi
        Polygon or multipolygon in degrees (EPSG:4326); none: the whole region.
    period
        Scenes outside are left out; none: all scenes.

    Returns
    -------
    The Mask contract of `pipeline.types` with coordinates ``sensor`` and ``platform`` (time), by
    time. Pixels of the bounding box whose centre is not in the AOI are no data, as are those of
    cells without pixels.

    Raises
    ------
    QueryError
        There is nothing to select from, or the AOI lies outside the region.
    """
    if not masks:
        raise QueryError("no masks to select from: the archive has none of these sensors")
    geoboxes = {dataset.odc.geobox for dataset in masks.values()}
    if len(geoboxes) > 1:
        raise QueryError(f"masks of several grids cannot be put together: {sorted(masks)}")
    cut = [_cut(scenes_in(dataset, period), sensor, aoi) for sensor, dataset in masks.items()]
    merged = xr.concat(cut, "time", data_vars="minimal", coords="minimal", compat="override")
    order = np.lexsort((merged["sensor"].to_numpy(), merged["time"].to_numpy()))
    selected = referenced(merged.isel(time=order))
    selected["mask"].attrs = dict(cut[0]["mask"].attrs)
    selected["mask"].encoding = {"grid_mapping": "spatial_ref"}
    selected.attrs = {
        "Conventions": "CF-1.11",
        "comment": "pixels whose centre lies outside the AOI are no data",
    }
    return selected


def _cut(dataset: xr.Dataset, sensor: str, aoi: BaseGeometry | None) -> xr.Dataset:
    window, inside = _window(dataset["mask"].to_dataset(), aoi)
    codes = np.zeros(window["mask"].shape, np.uint8)
    # Scene by scene: the whole would be in memory twice.
    for at in range(window.sizes["time"]):
        codes[at] = np.where(inside, window["mask"].isel(time=at).to_numpy(), 0)
    cut = window.assign(mask=window["mask"].copy(data=codes))
    sensors = np.full(window.sizes["time"], sensor, object)
    platforms = np.array([str(each) for each in dataset["platform"].to_numpy()], object)
    return cut.assign_coords(sensor=("time", sensors), platform=("time", platforms))


def scenes_in(dataset: xr.Dataset, period: Period | None) -> xr.Dataset:
    """Return what of a dataset, sorted by time, lies in a period; none: all."""
    if period is None:
        return dataset
    edges = np.array(
        [each.astimezone(UTC).replace(tzinfo=None) for each in (period.start, period.end)],
        "datetime64[us]",
    )
    times = dataset["time"].to_numpy().astype("datetime64[us]")
    # A slice stays lazy and cheap where a list of positions would not.
    chosen: xr.Dataset = dataset.isel(time=slice(*times.searchsorted(edges)))
    return chosen


def select_composite(
    composite: xr.Dataset,
    aoi: BaseGeometry | None = None,
    period: Period | None = None,
    bands: Sequence[str] | None = None,
) -> xr.Dataset:
    """Cut an AOI, some periods and some bands out of a composite.

    Parameters
    ----------
    composite
        As `pipeline.store.Archive.composite` gives it.
    aoi
        Polygon or multipolygon in degrees (EPSG:4326); none: the whole region, not read yet.
    period
        Keeps the composite's periods that begin in it; of exactly one the result has dims (y, x).
        None: all, with dims (time, y, x).
    bands
        Roles, layers of the method, ``count``, ``day`` or ``source``, in this order; none: all.

    Returns
    -------
    The Composite contract of `pipeline.types`. Pixels whose centre is not in the AOI are no data.

    Raises
    ------
    QueryError
        No period begins then, there is no such band, or the AOI lies outside the region. The message
        lists what there is.
    """
    found = _periods(composite, period)
    if bands is not None:
        found = _bands(found, bands)
    if aoi is None:
        return found
    window, inside = _window(found, aoi)
    shape = xr.DataArray(inside, dims=("y", "x"))
    for name, pixels in window.data_vars.items():
        if {"y", "x"} <= {*pixels.dims}:
            window[name] = pixels.where(shape, NONE.get(str(name), np.float32(np.nan)))
            window[name].encoding = pixels.encoding
    return referenced(window)


def _periods(composite: xr.Dataset, period: Period | None) -> xr.Dataset:
    if period is None:
        return composite
    found = scenes_in(composite, period)
    if not found.sizes["time"]:
        starts = ", ".join(f"{time:.10}" for time in composite["time"].to_numpy().astype(str))
        raise QueryError(
            f"no period of the composite begins in {period}; periods begin at {starts or 'no date'}"
        )
    return found.isel(time=0) if found.sizes["time"] == 1 else found


def _bands(composite: xr.Dataset, bands: Sequence[str]) -> xr.Dataset:
    layers = [str(each) for each in np.atleast_1d(composite.attrs.get("layers", []))]
    known = [*composite.attrs["roles"], *layers, *NONE]
    if unknown := [each for each in bands if each not in known]:
        raise QueryError(
            f"the composite has no band {', '.join(unknown)}; it has {', '.join(known)}"
        )
    return composite[list(bands)].assign_attrs(roles=list(bands))


def _window(
    dataset: xr.Dataset, aoi: BaseGeometry | None
) -> tuple[xr.Dataset, NDArray[np.bool_]]:
    """Cut out the bounding box of an AOI; say which of its pixels (y, x) have their centre in it."""
    geobox = dataset.odc.geobox
    area = area_on(geobox, aoi)
    ys, xs = bounding_window(area, geobox)
    return dataset.isel(y=ys, x=xs), draw(area, geobox, (ys, xs))
