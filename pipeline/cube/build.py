"""Scenes -> Cube: each block reads its items one after another until it is full.

DNs become reflectance before items are mosaicked, since two items of one pass may need different offsets. An item is
read only where earlier items left pixels without data, so that the overlap of neighbouring MGRS tiles is read once.
Everything is lazy: one Dask task per block and scene, for any number of items and bands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import dask.array as da
import numpy as np
import xarray as xr
from dask._task_spec import Task
from dask.array.core import normalize_chunks
from dask.base import tokenize
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from pipeline import lazy
from pipeline.cost import METER
from pipeline.cube.layers import CubeRequest, ItemLayer, make_layer
from pipeline.cube.loaders import LOADERS
from pipeline.cube.unfit import Found, Kinds
from pipeline.cube.windows import Rectangle, bounds_of
from pipeline.sensors import Adjust
from pipeline.types import CubeSettings, Items, Scene


def open_cube(
    scenes: Sequence[Scene],
    items: Items,
    geobox: GeoBox,
    roles: Sequence[str],
    *,
    chunk_px: int,
    settings: CubeSettings | None = None,
) -> xr.Dataset:
    """Lay out a cube as a model sees it; no pixel is read before it is computed.

    Parameters
    ----------
    scenes
        One time step each, in this order.
    items
        The items that the scenes' positions index.
    geobox
        Pixels of the cube: any part of the CRS plane.
    roles
        Variables of the cube: bands, or the products' own masks (``scl``, ``qa_pixel``,
        ``fmask``), whose codes are never averaged. A pixel of an item counts as data where all
        of them have data, so that the ragged band edges of a swath do not leak in.
    chunk_px
        Edge of a dask chunk; it does not change a pixel.
    settings
        How pixels are read; None: the defaults.

    Returns
    -------
    Dataset as `pipeline.types` describes a Cube: float32 reflectance by role, int32 ``source`` and uint8 ``unfit``,
    dims (time, y, x). Saturated pixels have the largest valid reflectance; impossible values are no data.

    Raises
    ------
    AssetError
        A role is not the first band of its asset; when computed: an asset cannot be read.
    """
    settings = settings or CubeSettings()
    request = CubeRequest(roles=tuple(roles), settings=settings, measured=False)
    return _cube(scenes, items, geobox, request, chunk_px)


def open_measured(  # noqa: PLR0913  (as open_cube, and what is wanted)
    scenes: Sequence[Scene],
    items: Items,
    geobox: GeoBox,
    roles: Sequence[str],
    *,
    chunk_px: int,
    settings: CubeSettings | None = None,
    wanted: NDArray[np.bool_] | None = None,
    adjust: Adjust | None = None,
) -> xr.Dataset:
    """Lay out a cube of valid measurements, for composites: see `open_cube`.

    Saturated pixels are no data, too, as are those that a quality band of the item (QA_RADSAT, SCL) flags as
    saturated, defective, dropped or hidden.

    Parameters
    ----------
    wanted
        (time, y, x) pixels that are needed, e.g. those without clouds; None: all. Of each chunk and scene only the
        rectangle that has them is read; pixels outside it are no data, and are counted in `Cost.bytes_spared`.
    adjust
        How reflectance is adjusted; None: not at all. Which numbers are valid is decided before.
    """
    request = CubeRequest(
        roles=tuple(roles),
        settings=settings or CubeSettings(),
        measured=True,
        adjust=adjust or Adjust(),
    )
    return _cube(scenes, items, geobox, request, chunk_px, wanted)


def _cube(
    scenes: Sequence[Scene],
    items: Items,
    geobox: GeoBox,
    request: CubeRequest,
    chunk_px: int,
    wanted: NDArray[np.bool_] | None = None,
) -> xr.Dataset:
    parts = [None] * len(scenes) if wanted is None else wanted
    pairs = zip(scenes, parts, strict=True)
    blocks = [_scene(scene, items, geobox, request, part) for scene, part in pairs]
    arrays = _laid_out(blocks, geobox, request, chunk_px)
    variables = {name: (("time", "y", "x"), array) for name, array in arrays.items()}
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


def bytes_needed(height_px: int, width_px: int, n_roles: int) -> int:
    """Estimate the memory of a computed cube of one scene, in bytes.

    It is that of the mosaic with its source, and of the copy that Dask makes when it joins the blocks.
    """
    return height_px * width_px * (n_roles + 1) * 4 * 2


KIND_BITS = 2
"""The position of a pixel's item and its kind of unfit number share one layer: position · 4 + kind."""
KIND_MASK = 2**KIND_BITS - 1

_Edge = tuple[tuple[slice, slice], NDArray[np.float32], int, NDArray[np.uint8]]
"""The slices of a block in which an item was read, its pixels, its position, and its `ItemLayer.open_sides`."""


@dataclass(frozen=True, slots=True)
class _Block:
    """What reads the blocks of one scene."""

    layers: Mapping[int, ItemLayer]
    """Position of an item -> how to read it, in mosaic order."""
    geobox: GeoBox
    roles: tuple[str, ...]
    loader: str
    wanted: NDArray[np.bool_] | None
    """(y, x) of the whole cube; None: all."""
    inside: frozenset[int]
    """Positions of the items that surround the cube."""

    def read(self, rows: slice, cols: slice) -> NDArray[np.float32]:
        """Read one block: (role + 1, y, x); the last layer has the item's position, -1 = none, and the kind."""
        place = self.geobox[rows, cols]
        mosaic = np.empty((len(self.roles) + 1, *place.shape), np.float32)
        mosaic[-1] = -1
        kinds = np.zeros(tuple(place.shape), np.uint8)
        edges, empty = list[_Edge](), True
        box = self._wanted_box(rows, cols)
        for position, layer in self.layers.items():
            missing = box if box is None or empty else bounds_of(mosaic[-1] < 0, box)
            if missing is None:
                break
            whole = kinds[missing].shape == kinds.shape
            part = place if whole else place[missing]
            inside = position in self.inside
            if inside or layer.touches(part):
                found, sides = Found(), None if inside else layer.open_sides(part)
                # The first item is read straight into place.
                direct = empty and sides is None and whole
                read = mosaic[:-1] if direct else np.empty((len(self.roles), *part.shape), "f4")
                full = LOADERS[self.loader](layer, self.roles, part, found, read)
                _note(kinds[missing], found, mosaic[-1, *missing])
                if direct:
                    _keep_complete(mosaic, position, full=full)
                    empty = False
                    continue
                if empty:
                    mosaic[:-1], empty = np.nan, False
                _fill(
                    mosaic[:, *missing], read, position, None if sides is None else sides == 0
                )
                if sides is not None:
                    edges.append((missing, read, position, sides))
        if empty:
            mosaic[:-1] = np.nan
        # A pixel in no item's interior comes from the item with the fewest missing neighbours there.
        for most in range(1, 5) if edges else ():
            for missing, read, position, sides in edges:
                _fill(mosaic[:, *missing], read, position, sides <= most)
        # Exact in float32 up to 2**22 items.
        mosaic[-1] = mosaic[-1] * 2**KIND_BITS + kinds
        return mosaic

    def _wanted_box(self, rows: slice, cols: slice) -> Rectangle | None:
        """Return the rows and columns of a block that have all its wanted pixels; None if it has none."""
        shape = (rows.stop - rows.start, cols.stop - cols.start)
        whole = (slice(0, shape[0]), slice(0, shape[1]))
        if self.wanted is None:
            return whole
        box = bounds_of(self.wanted[rows, cols], whole)
        read = 0 if box is None else math.prod(each.stop - each.start for each in box)
        METER.count(bytes_spared=(math.prod(shape) - read) * len(self.roles) * 4)
        return box


def _keep_complete(mosaic: NDArray[np.float32], position: int, *, full: bool) -> None:
    """Keep the pixels at which all bands of a mosaic have data, if it is `full` all, as those of an item, in place."""
    complete = None if full else np.isfinite(mosaic[:-1]).all(axis=0)
    if complete is None or complete.all():
        mosaic[-1] = position
        return
    np.copyto(mosaic[-1], np.float32(position), where=complete)
    np.copyto(mosaic[:-1], np.nan, where=~complete)


def _note(kinds: Kinds, found: Found, positions: NDArray[np.float32]) -> None:
    """Record, in place, an item's kinds of unfit numbers at pixels that no item before it has filled."""
    if found.kinds is not None:
        np.maximum(kinds, found.kinds, out=kinds, where=positions < 0)


def _scene(
    scene: Scene,
    items: Items,
    geobox: GeoBox,
    request: CubeRequest,
    wanted: NDArray[np.bool_] | None,
) -> _Block:
    # Of later items what those before leave is read, and of a composite what masks leave.
    every = {
        p: make_layer(items.items[p], geobox, request, whole=not (index or request.measured))
        for index, p in enumerate(scene.items)
    }
    layers = {position: layer for position, layer in every.items() if layer.touches(geobox)}
    inside = frozenset(p for p, layer in layers.items() if layer.surrounds(geobox))
    return _Block(layers, geobox, request.roles, request.settings.loader, wanted, inside)


def _laid_out(
    scenes: Sequence[_Block], geobox: GeoBox, request: CubeRequest, chunk_px: int
) -> dict[str, da.Array]:
    """Return (time, y, x) of each variable: a task reads a block of all bands of a scene, of which variables are parts.

    A block has the same key in each cube that wants it alike, and is read once for all that are computed together.
    """
    _, ys, xs = normalize_chunks(
        (1, chunk_px, chunk_px), shape=(len(scenes), *geobox.shape), dtype=np.float32
    )
    alike = tokenize(str(geobox), request, chunk_px)
    rows, cols, blocks = lazy.spans(ys), lazy.spans(xs), {}
    for time, scene in enumerate(scenes):
        hrefs = [list(layer.facts) for layer in scene.layers.values()]
        name = f"scene-{tokenize(alike, list(scene.layers), hrefs, scene.wanted)}"
        for y, x in lazy.positions(ys, xs):
            blocks[time, y, x] = Task((name, y, x), scene.read, rows[y], cols[x])
    wanted = {
        role: lazy.Taken(itemgetter((slice(index, index + 1),)), np.float32, 1)
        for index, role in enumerate(request.roles)
    }
    wanted["source"] = lazy.Taken(_positions, np.int32, 1)
    wanted["unfit"] = lazy.Taken(_kinds, np.uint8, 1)
    return lazy.parts(blocks, (ys, xs), wanted)


def _positions(mosaic: NDArray[np.float32]) -> NDArray[np.int32]:
    return mosaic[-1:].astype(np.int32) >> KIND_BITS


def _kinds(mosaic: NDArray[np.float32]) -> Kinds:
    kinds: Kinds = (mosaic[-1:].astype(np.int32) & KIND_MASK).astype(np.uint8)
    return kinds


def _fill(
    mosaic: NDArray[np.float32],
    read: NDArray[np.float32],
    position: int,
    where: NDArray[np.bool_] | None,
) -> None:
    """Fill pixels that have no data yet from an item, all of them or those of `where`, in place."""
    new = (mosaic[-1] < 0) & np.isfinite(read).all(axis=0)
    if where is not None:
        new &= where
    np.copyto(mosaic[:-1], read, where=new)
    np.copyto(mosaic[-1], np.float32(position), where=new)
