"""How the store looks from outside: names, dtypes, chunks, CF attributes, the grid as attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import zarr
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from zarr.abc.store import Store
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.metadata import ArrayV3Metadata

from pipeline.errors import StoreError
from pipeline.store.base.reading import read
from pipeline.types import LEGEND, NEVER, UNCOVERED, UNREADABLE, Grid

FORMAT = "cloudmask-archive"
FORMAT_VERSION = 2
"""What is written; see docs/format.md."""
READABLE = (1, FORMAT_VERSION)

CLASSES = len(LEGEND)

SHARD_PX = 2048
"""Largest edge of a stored object: 4 MB of mask before compression."""
CELL_TIMES = 256
"""Times in a chunk of an array of cells: a tile's cells of a year or two are one object."""

PARTS = ("masks", "composites", "items")
"""The groups below the root."""
COMPRESSORS = (ZstdCodec(level=0), Crc32cCodec())
"""Of every array, within shards as well. Without a checksum, a flipped bit often reads as other
pixels: zstd notices about one in ten."""

Attributes = Mapping[str, Any]
"""JSON values by name."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME_ATTRIBUTES: dict[str, Any] = {
    "standard_name": "time",
    "axis": "T",
    "units": "microseconds since 1970-01-01T00:00:00",
    "calendar": "proleptic_gregorian",
}

MASK_ATTRIBUTES: dict[str, Any] = {
    "long_name": "cloud and cloud shadow mask",
    "flag_values": [int(entry.code) for entry in LEGEND],
    "flag_meanings": " ".join(entry.meaning for entry in LEGEND),
    "grid_mapping": "spatial_ref",
    "coordinates": "spatial_ref platform",
}

FINGERPRINT_ATTRIBUTES: dict[str, Any] = {
    "long_name": "hash of the inputs and settings that made a cell",
    "flag_values": [NEVER, UNCOVERED, UNREADABLE],
    "flag_meanings": "never uncovered unreadable",
}


def microseconds(instants: Iterable[datetime]) -> NDArray[np.int64]:
    """Encode instants as the stored time axis does."""
    return np.array(
        [(each - EPOCH) // timedelta(microseconds=1) for each in instants], np.int64
    )


def instants(values: NDArray[np.int64]) -> list[datetime]:
    """Decode a stored time axis; the inverse of `microseconds`."""
    return [EPOCH + timedelta(microseconds=int(value)) for value in values]


def shard_px(grid: Grid) -> int:
    """Return the edge of a shard: the largest that divides a tile and is not above `SHARD_PX`."""
    chunks = grid.tile_px // grid.chunk_px
    fitting = [
        k for k in range(1, chunks + 1) if chunks % k == 0 and k * grid.chunk_px <= SHARD_PX
    ]
    return grid.chunk_px * max(fitting, default=1)


# -- groups and arrays -------------------------------------------------------------------------


def open_root(store: Store) -> zarr.Group | None:
    """Open the root group for reading; none: the repository is still empty."""
    try:
        return zarr.open_group(store, mode="r")
    except FileNotFoundError:
        return None


def array_of(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """Return an array of a group."""
    found = group[name]
    if not isinstance(found, zarr.Array):
        raise StoreError(
            f"{group.path}/{name} is not an array: the store is damaged or not ours"
        )
    return found


def values_of(group: zarr.Group, name: str) -> NDArray[Any]:
    """Return the values of an array of a group."""
    return read(array_of(group, name))


def group_of(parent: zarr.Group, name: str) -> zarr.Group | None:
    """Return a group of a group, if it is there."""
    found = parent.get(name)
    return found if isinstance(found, zarr.Group) else None


def add_list(
    group: zarr.Group, name: str, dtype: str | type[str], dimension: str, attributes: Attributes
) -> None:
    """Create an empty one-dimensional array. Attribute ``chunk``, if given, is its chunk's length."""
    kept = dict(attributes)
    chunk = int(kept.pop("chunk", 4096))
    group.create_array(
        name,
        shape=(0,),
        chunks=(chunk,),
        compressors=COMPRESSORS,
        dtype=dtype,
        dimension_names=(dimension,),
        attributes=kept,
    )


def add_cells(group: zarr.Group, name: str, grid: Grid, dtype: str, classes: int = 0) -> None:
    """Create an array with one value, or one row of class values, a cell.

    A chunk holds many times of one tile, so that two tiles never share a stored object.
    """
    last: tuple[int, ...] = (classes,) if classes else ()
    group.create_array(
        name,
        shape=(0, *grid.shape_in_tiles, *last),
        chunks=(CELL_TIMES, 1, 1, *last),
        compressors=COMPRESSORS,
        dtype=dtype,
        fill_value=0,
        dimension_names=("time", "tile_y", "tile_x", "class")[: 3 + len(last)],
    )


def add_pixels(
    group: zarr.Group, name: str, grid: Grid, dtype: str, fill: int, attributes: Attributes
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
        compressors=COMPRESSORS,
        dtype=dtype,
        fill_value=fill,
        dimension_names=("time", "y", "x"),
        attributes={"grid_mapping": "spatial_ref", "coordinates": "spatial_ref", **attributes},
    )


def add_georeference(group: zarr.Group, grid: Grid) -> None:
    """Create ``y``, ``x`` and ``spatial_ref`` as odc-geo, rioxarray and GDAL expect them."""
    for name in xr_coords(grid.geobox):
        write_coordinate(group, grid, str(name))


def write_coordinate(group: zarr.Group, grid: Grid, name: str) -> None:
    """Create one of them, in the place of the one that is there."""
    coordinate = xr_coords(grid.geobox)[name]
    attributes = dict(coordinate.attrs)
    if name in ("y", "x"):
        attributes |= {"standard_name": f"projection_{name}_coordinate", "axis": name.upper()}
    values = np.asarray(coordinate.values)
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=values.shape,
        compressors=COMPRESSORS,
        dtype=values.dtype,
        dimension_names=tuple(str(each) for each in coordinate.dims),
        attributes=attributes,
        overwrite=True,
    )
    array[...] = values


def grow(group: zarr.Group, length: int, dimension: str = "time") -> None:
    """Lengthen every array of a group that has a dimension, which is its first."""
    for _, array in group.arrays():
        metadata = array.metadata
        names = metadata.dimension_names if isinstance(metadata, ArrayV3Metadata) else None
        if names and names[0] == dimension:
            array.resize((length, *array.shape[1:]))


# -- the grid ----------------------------------------------------------------------------------


def grid_attributes(grid: Grid) -> dict[str, Any]:
    """Write a grid as JSON values."""
    crs = grid.geobox.crs
    assert crs is not None, "a grid has a CRS"
    return {
        "crs": str(crs),
        "crs_wkt": crs.to_wkt(),
        "resolution_m": grid.resolution_m,
        "affine": list(grid.geobox.transform)[:6],
        "shape": list(grid.geobox.shape),
        "tile_px": grid.tile_px,
        "chunk_px": grid.chunk_px,
    }


def grid_from(attributes: Mapping[str, Any]) -> Grid:
    """Read a grid; the inverse of `grid_attributes`."""
    geobox = GeoBox(
        tuple(attributes["shape"]), Affine(*attributes["affine"]), attributes["crs"]
    )
    return Grid(geobox=geobox, tile_px=attributes["tile_px"], chunk_px=attributes["chunk_px"])


def stored_grid(root: zarr.Group, where: str) -> Grid:
    """Return the grid of a store.

    Raises
    ------
    StoreError
        It is not a store of ours, or of a later version.
    """
    if root.attrs.get("format") != FORMAT:
        raise StoreError(f"{where} is an Icechunk repository, but no archive of cloudmask")
    version = format_of(root)
    if version not in READABLE:
        raise StoreError(
            f"{where} has format {version}, this cloudmask reads {READABLE[0]} to {READABLE[-1]}: "
            "use the version of cloudmask that wrote it, or a later one"
        )
    attributes = root.attrs["grid"]
    assert isinstance(attributes, Mapping)
    return grid_from(attributes)


def format_of(root: zarr.Group) -> Any:  # noqa: ANN401 -- whatever stands there
    """Return the number of the format of a store."""
    return root.attrs.get("format_version")


def require_writable(root: zarr.Group, where: str) -> None:
    """Check that a store has the format that is written today.

    Raises
    ------
    StoreError
        It has an older one, and pixels: the two would stand side by side and mean different things.
    """
    version = format_of(root)
    if version != FORMAT_VERSION and any(True for _ in root.groups()):
        raise StoreError(
            f"the store {where} has format {version}, which can be read, but not be written any more "
            f"(this cloudmask writes {FORMAT_VERSION}): name a new store folder in the job, and run "
            "again; docs/format.md says what changed"
        )


def differences(stored: Grid, asked: Grid) -> list[str]:
    """Say in words where two grids differ; empty if they are one."""
    old, new = grid_attributes(stored), grid_attributes(asked)
    # Two spellings of one CRS are no difference.
    if stored.geobox.crs == asked.geobox.crs:
        old["crs"], old["crs_wkt"] = new["crs"], new["crs_wkt"]
    shown = (name for name in old if name != "crs_wkt" or old["crs"] == new["crs"])
    differing = [
        f"{name} is {old[name]}, the job has {new[name]}"
        for name in shown
        if old[name] != new[name]
    ]
    if stored.resolution_m == asked.resolution_m and stored.corner != asked.corner:
        one, other = ("[{:g}, {:g}]".format(*each.corner) for each in (stored, asked))
        differing.insert(0, f"its grid.anchor is {one}, the job's {other}")
    return differing


def same_grid(root: zarr.Group, asked: Grid, where: str) -> bool:
    """Compare the grid of a store with a job's.

    Returns
    -------
    True if they are one and the format is today's; false if not, but nothing is stored yet.

    Raises
    ------
    StoreError
        They differ and the store has pixels, or its pixels are of an older format.
    """
    differing = differences(stored_grid(root, where), asked)
    require_writable(root, where)
    if differing and any(True for _ in root.groups()):
        raise StoreError(
            f"the store {where} has another grid: {'; '.join(differing)}. "
            "Use another store, or the old grid"
        )
    return not differing and format_of(root) == FORMAT_VERSION
