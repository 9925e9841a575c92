"""The masks of an AOI."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import odc.geo.xr  # noqa: F401 (the accessor .odc)
import xarray as xr
from shapely.geometry.base import BaseGeometry

from pipeline.errors import QueryError
from pipeline.query.area import area_on, bounding_window, draw
from pipeline.query.cf import referenced
from pipeline.query.statistics import scenes_in
from pipeline.types import Period


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
    geobox = dataset.odc.geobox
    area = area_on(geobox, aoi)
    ys, xs = bounding_window(area, geobox)
    inside = draw(area, geobox, (ys, xs))
    window = dataset["mask"].isel(y=ys, x=xs)
    codes = np.zeros(window.shape, np.uint8)
    for at in range(window.sizes["time"]):
        codes[at] = np.where(inside, window.isel(time=at).to_numpy(), 0)
    cut = window.copy(data=codes).to_dataset(name="mask")
    sensors = np.full(window.sizes["time"], sensor, object)
    platforms = np.array([str(each) for each in dataset["platform"].to_numpy()], object)
    return cut.assign_coords(sensor=("time", sensors), platform=("time", platforms))
