"""Scenes -> Cube: load per item, make reflectance per item, then mosaic.

Numbers become reflectance before items are grouped, since two items of one solar day may need
different offsets. Everything stays lazy until the caller computes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import dask.array as da
import numpy as np
import odc.stac
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from pipeline import sensors
from pipeline.cube.reader import AssetFacts, ExactDriver
from pipeline.cube.roles import by_role, covers, raster_outline
from pipeline.types import Items, Scene


def open_cube(
    scenes: Sequence[Scene],
    items: Items,
    geobox: GeoBox,
    roles: Sequence[str],
    *,
    chunk_px: int,
) -> xr.Dataset:
    """Lay out a cube; no pixel is read before it is computed.

    Parameters
    ----------
    scenes
        One time step each, in this order.
    items
        What the scenes' positions point into.
    geobox
        Where: any part of the CRS plane.
    roles
        Variables of the cube. A pixel of an item counts as data where all of them have data, so
        that the ragged band edges of a swath do not leak in.
    chunk_px
        Edge of a dask chunk; it does not change a pixel.

    Returns
    -------
    Dataset as `pipeline.types` describes a Cube: float32 reflectance by role and int32
    ``source``, dims (time, y, x).

    Raises
    ------
    AssetError
        When computed: an asset cannot be read.
    """
    layers = [_scene(scene, items, geobox, roles, chunk_px) for scene in scenes]
    variables = {
        role: (("time", "y", "x"), da.stack([pixels[index] for pixels, _ in layers]))
        for index, role in enumerate(roles)
    }
    variables["source"] = (("time", "y", "x"), da.stack([source for _, source in layers]))
    times = np.array([np.datetime64(scene.time.replace(tzinfo=None), "ns") for scene in scenes])
    coords = {
        "time": ("time", times),
        "sensor": ("time", [scene.sensor for scene in scenes]),
        **xr_coords(geobox),
    }
    cube = xr.Dataset(variables, coords)
    for name in cube.data_vars:
        cube[name].encoding["grid_mapping"] = "spatial_ref"
    return cube


def bytes_needed(height_px: int, width_px: int, n_items: int, n_roles: int) -> int:
    """Return what a computed cube of one scene takes, in bytes.

    Each item's DNs as float32, their reflectance, and the mosaic of both: three copies.
    """
    return height_px * width_px * n_roles * 4 * (2 * n_items + 1)


def _scene(
    scene: Scene, items: Items, geobox: GeoBox, roles: Sequence[str], chunk_px: int
) -> tuple[da.Array, da.Array]:
    """Return one scene's reflectance (role, y, x) and the position of each pixel's item (y, x)."""
    positions = [position for position in scene.items if covers(items.items[position], geobox)]
    if not positions:
        shape, chunks = tuple(geobox.shape), (chunk_px, chunk_px)
        nothing = da.full((len(roles), *shape), np.nan, "float32", chunks=(-1, *chunks))
        return nothing, da.full(shape, -1, "int32", chunks=chunks)
    stack = _reflectance(positions, items, geobox, roles, chunk_px)
    pixels = stack.map_blocks(_mosaic, drop_axis=0, dtype="float32")
    source = stack.map_blocks(
        _origin, np.array(positions, "int32"), drop_axis=(0, 1), dtype="int32"
    )
    return pixels, source


def _reflectance(
    positions: Sequence[int], items: Items, geobox: GeoBox, roles: Sequence[str], chunk_px: int
) -> da.Array:
    """Load items one by one: (item, role, y, x) float32 reflectance, NaN = no data."""
    chosen = [items.items[position] for position in positions]
    rules = [[sensors.radiometry(item, role) for role in roles] for item in chosen]
    slim = [by_role(item, roles, geobox) for item in chosen]
    facts = {}
    for original, item, of_roles in zip(chosen, slim, rules, strict=True):
        offered = sensors.profile(original).offered(original)
        outline = raster_outline(original)
        for role, rule in zip(roles, of_roles, strict=True):
            facts[item.assets[role].href] = AssetFacts(
                item.id, offered[role], rule.nodata, outline
            )
    loaded = odc.stac.load(
        slim,
        bands=list(roles),
        geobox=geobox,
        groupby=_one_by_one,
        chunks={"y": chunk_px, "x": chunk_px},
        dtype="float32",
        nodata=float("nan"),
        driver=ExactDriver(facts),
        preserve_original_order=True,
    )
    numbers = da.stack([loaded[role].data for role in roles], axis=1)
    numbers = numbers.rechunk((1, len(roles), chunk_px, chunk_px))
    shape = (len(chosen), len(roles), 1, 1)
    scale = np.array([[rule.scale for rule in each] for each in rules], "float32")
    offset = np.array([[rule.offset for rule in each] for each in rules], "float32")
    reflectance = numbers * scale.reshape(shape) + offset.reshape(shape)
    return reflectance.rechunk((len(chosen), len(roles), chunk_px, chunk_px))


def _one_by_one(item: object, parsed: object, index: int) -> int:
    """Keep every item a time step of its own: mosaicking is ours, after radiometry."""
    del item, parsed
    return index


def _first(stack: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Say for each pixel which item is the first with data, and whether any is.

    `stack` is (item, role, y, x); both results are (y, x).
    """
    has_data = np.isfinite(stack).all(axis=1)
    return np.argmax(has_data, axis=0), np.asarray(has_data.any(axis=0))


def _mosaic(stack: NDArray[np.float32]) -> NDArray[np.float32]:
    first, any_data = _first(stack)
    chosen = np.take_along_axis(stack, first[None, None], axis=0)[0]
    return np.where(any_data, chosen, np.float32(np.nan))


def _origin(stack: NDArray[np.float32], positions: NDArray[np.int32]) -> NDArray[np.int32]:
    first, any_data = _first(stack)
    return np.where(any_data, positions[first], np.int32(-1))
