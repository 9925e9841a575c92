"""The making of arrays: their chunks and shards, and the coordinates of a grid."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import zarr

from pipeline.store.arrays import layout
from pipeline.types import Grid

SHARD_PX = 2048
"""Largest edge of a stored object: 4 MB of mask before compression."""
CELL_TIMES = 256
"""Times in a chunk of an array of cells: a tile's cells of a year or two are one object."""


def shard_px(grid: Grid) -> int:
    """Return the edge of a shard: the largest that divides a tile and is not above `SHARD_PX`."""
    chunks = grid.tile_px // grid.chunk_px
    fitting = [
        k for k in range(1, chunks + 1) if chunks % k == 0 and k * grid.chunk_px <= SHARD_PX
    ]
    return grid.chunk_px * max(fitting, default=1)


def add_list(
    group: zarr.Group,
    name: str,
    dtype: str | type[str],
    dimension: str,
    attributes: layout.Attributes,
) -> None:
    """Create an empty one-dimensional array. Attribute ``chunk``, if given, is its chunk's length."""
    rest = dict(attributes)
    chunk = int(rest.pop("chunk", 4096))
    group.create_array(
        name,
        shape=(0,),
        chunks=(chunk,),
        compressors=layout.COMPRESSORS,
        dtype=dtype,
        dimension_names=(dimension,),
        attributes=rest,
    )


def add_cells(
    group: zarr.Group,
    name: str,
    grid: Grid,
    dtype: str,
    attributes: layout.Attributes,
    last: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Create an array with one value a cell, or an array of the size of `last` by dimension.

    A chunk holds many times of one tile, so that two tiles never share a stored object.
    """
    sizes = tuple(last.values())
    group.create_array(
        name,
        shape=(0, *grid.shape_in_tiles, *sizes),
        chunks=(CELL_TIMES, 1, 1, *sizes),
        compressors=layout.COMPRESSORS,
        dtype=dtype,
        fill_value=0,
        dimension_names=("time", "tile_y", "tile_x", *last),
        attributes=dict(attributes),
    )


def add_pixels(
    group: zarr.Group,
    name: str,
    grid: Grid,
    dtype: str,
    fill: float,
    attributes: layout.Attributes,
) -> None:
    """Create an array of pixels, sharded so that a tile is a whole number of stored objects.

    `fill` is Zarr's value of unwritten chunks; it is not ``_FillValue``, which readers take as
    missing: a mask with one would come back as floats.
    """
    shard = shard_px(grid)
    group.create_array(
        name,
        shape=(0, *grid.geobox.shape),
        chunks=(1, grid.chunk_px, grid.chunk_px),
        shards=(1, shard, shard),
        compressors=layout.COMPRESSORS,
        dtype=dtype,
        fill_value=fill,
        dimension_names=("time", "y", "x"),
        attributes={"grid_mapping": "spatial_ref", "coordinates": "spatial_ref", **attributes},
    )


def write_coordinates(group: zarr.Group, grid: Grid, only: str = "") -> None:
    """Create ``y``, ``x`` and ``spatial_ref`` as odc-geo, rioxarray and GDAL expect them.

    `only` names one of them; what is there is replaced.
    """
    # Brings xarray, Dask and rasterio along, which only a run needs.
    from odc.geo.xr import xr_coords  # noqa: PLC0415

    for name, coordinate in xr_coords(grid.geobox).items():
        if only not in ("", name):
            continue
        attributes = dict(coordinate.attrs)
        if name in ("y", "x"):
            axis = {"standard_name": f"projection_{name}_coordinate", "axis": name.upper()}
            attributes |= axis
        values = np.asarray(coordinate.values)
        array = group.create_array(
            str(name),
            shape=values.shape,
            chunks=values.shape,
            compressors=layout.COMPRESSORS,
            dtype=values.dtype,
            dimension_names=tuple(str(each) for each in coordinate.dims),
            attributes=attributes,
            overwrite=True,
        )
        array[...] = values


def grow(group: zarr.Group, length: int, dimension: str = "time") -> None:
    """Lengthen every array of a group that has a dimension, which is its first."""
    for _, array in group.arrays():
        if array.ndim and layout.dimensions_of(array)[0] == dimension:
            array.resize((length, *array.shape[1:]))
