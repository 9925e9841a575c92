"""Cubes cut from an array round the CRS origin, on a grid of 20 m."""

import dask.array as da
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from pipeline.mask.lattice import origin_px


def box(top, left, height, width):
    """A geobox by its first pixel, counted from the CRS origin."""
    return GeoBox((height, width), Affine(20, 0, left * 20, 0, -20, -top * 20), "EPSG:32632")


def cube_of(world, roles, geobox, first, chunks):
    """A lazy cube over a geobox.

    `world` is (time, role, y, x); `first` is its first pixel in both directions, from the CRS origin; `chunks` are
    (y, x).
    """
    top, left = (px - first for px in origin_px(geobox))
    assert min(top, left) >= 0
    part = world[:, :, top : top + geobox.shape[0], left : left + geobox.shape[1]]
    variables = {
        role: (("time", "y", "x"), da.from_array(part[:, index], (1, *chunks)))
        for index, role in enumerate(roles)
    }
    cube = xr.Dataset(variables, xr_coords(geobox))
    for role in roles:
        cube[role].encoding["grid_mapping"] = "spatial_ref"
    return cube
