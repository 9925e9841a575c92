"""Making the files of one pass: COGs and items of its products, and its truth."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from pipeline.simulate.archive import encode, items_landsat, items_sentinel2
from pipeline.simulate.archive.stac import Content, Json
from pipeline.simulate.bands import LANDSAT, SENTINEL2, Band
from pipeline.simulate.grids import (
    NORTH_M,
    PIXEL_M,
    WEST_M,
    Reduce,
    Window,
    halve,
    landsat_window,
    same,
    to_landsat,
)
from pipeline.simulate.landscape import Landscape, make_landscape
from pipeline.simulate.passes import TILES, ArchiveSettings, Overflight, Processing
from pipeline.simulate.physics.atmosphere import band_air
from pipeline.simulate.physics.noise import Floats
from pipeline.simulate.scene import Look, Stage, level2a, set_stage, take_look

_Number = TypeVar("_Number", np.float32, np.uint8)

LANDSAT_MARGIN_PX = 20
"""Fill around the valid pixels of a Landsat scene."""

TRUTH_ROLES = ("blue", "green", "red", "nir", "nir08", "swir16", "swir22")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was made of a pass."""

    items: tuple[Json, ...]
    instant: datetime
    """Of its earliest item."""
    truth: Mapping[str, Floats] = field(repr=False)
    """Truth variable -> (Y, X) at 20 m."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """A pass, simulated but not yet written."""

    settings: ArchiveSettings
    overflight: Overflight
    look: Look
    stage: Stage
    clean: dict[str, Floats]
    light: Floats
    """Near-infrared light, at 10 m."""
    water: Floats
    """Share of water, at 10 m."""

    def sky(self, reduce: Reduce) -> tuple[Floats, Floats, Floats]:
        """Return optical depth, that of ice alone, and light, on another grid."""
        stage = self.stage
        return reduce(stage.optical_depth), reduce(stage.ice_depth), reduce(self.light)

    def reflectance(
        self, bands: tuple[Band, ...], reduce: Callable[[Band], Reduce]
    ) -> dict[str, Floats]:
        """Return the product's reflectance: role -> (Y, X) on the band's grid."""
        stages = {band.gsd_m: self.stage.on(reduce(band), band.gsd_m) for band in bands}
        return {
            band.role: level2a(
                self.look, stages[band.gsd_m], band, reduce(band)(self.clean[band.role])
            )
            for band in bands
        }


def make_pass(folder: Path, settings: ArchiveSettings, overflight: Overflight) -> Made:
    """Simulate a pass and write its products below a folder."""
    scene = _simulate(settings, overflight)
    write = _write_sentinel2 if overflight.sensor == "sentinel-2" else _write_landsat
    made = write(folder, scene)
    return Made(
        items=tuple(made),
        instant=min(datetime.fromisoformat(item["properties"]["datetime"]) for item in made),
        truth=_truth(scene),
    )


@functools.lru_cache(maxsize=1)
def _landscape(seed: int, size_px: int) -> Landscape:
    return make_landscape(seed, size_px, PIXEL_M)


def _simulate(settings: ArchiveSettings, overflight: Overflight) -> _Scene:
    landscape = _landscape(settings.seed, settings.size_px)
    rng = overflight.rng(settings.seed)
    look = take_look(rng, overflight.sun)
    stage = set_stage(rng, landscape, overflight.covers, overflight.sun)
    clean = landscape.reflectance(overflight.instant.timetuple().tm_yday)
    nir = next(band for band in SENTINEL2 if band.role == "nir")
    return _Scene(
        settings=settings,
        overflight=overflight,
        look=look,
        stage=stage,
        clean=clean,
        light=stage.light(band_air(look.air, nir).diffuse, float(clean["nir"].mean())),
        water=landscape.water.astype(np.float32),
    )


def _truth(scene: _Scene) -> dict[str, Floats]:
    planes = {f"clean_{role}": halve(scene.clean[role]) for role in TRUTH_ROLES}
    depth, _, light = scene.sky(halve)
    return planes | {"optical_depth": depth, "light": light}


# -- Sentinel-2 --------------------------------------------------------------------------------


def _write_sentinel2(folder: Path, scene: _Scene) -> list[Json]:
    planes = scene.reflectance(SENTINEL2, lambda band: same if band.gsd_m == 10 else halve)
    sky = scene.sky(halve)
    red, nir = halve(scene.clean["red"]), halve(scene.clean["nir"])
    classes = encode.scene_classes(
        sky, (nir - red) / (nir + red), halve(scene.water) > 0.5, np.ones(red.shape, dtype=bool)
    )
    made = []
    for tile in scene.overflight.tiles:
        window = tile_window(tile, scene.settings.size_px)
        if _seen(scene, window).any():
            made += [
                _write_tile(folder, scene, (tile, processing), planes, classes)
                for processing in scene.overflight.processings
            ]
    return made


def tile_window(tile: str, size_px: int) -> Window:
    """Return the 10 m grid of a tile: about 60 % of the landscape's width, all of its height."""
    # Edges stay on multiples of 60 m, on which the pixels of all bands begin.
    width = round(0.6 * size_px / 6) * 6
    west = WEST_M if tile == TILES[0] else WEST_M + (size_px - width) * PIXEL_M
    return Window(west_m=west, north_m=NORTH_M, pixel_m=PIXEL_M, height=size_px, width=width)


def _write_tile(
    folder: Path,
    scene: _Scene,
    product: tuple[str, Processing],
    planes: Mapping[str, Floats],
    classes: NDArray[np.uint8],
) -> Json:
    tile, processing = product
    window = tile_window(tile, scene.settings.size_px)
    target = (
        folder
        / "sentinel-2-l2a"
        / items_sentinel2.sentinel2_id(scene.overflight, tile, processing)
    )
    target.mkdir(parents=True, exist_ok=True)
    fine = _seen(scene, window)
    grids = {10: window, 20: _coarse(window)}
    # A pixel of 20 m is no data as soon as a part of it is.
    seen = {10: fine, 20: fine[::2, ::2] & fine[1::2, ::2] & fine[::2, 1::2] & fine[1::2, 1::2]}
    for band in SENTINEL2:
        grid = grids[band.gsd_m]
        cut = _cut(planes[band.role], grid)
        numbers = encode.sentinel2_numbers(cut, seen[band.gsd_m], processing.offset_in_pixels)
        encode.write_cog(target / f"{band.product_name}.tif", numbers, grid, classes=False)
    codes = np.where(seen[20], _cut(classes, grids[20]), 0).astype(np.uint8)
    encode.write_cog(target / "SCL.tif", codes, grids[20], classes=True)
    content = _content(_footprint(scene, window), codes)
    item = items_sentinel2.sentinel2_item(scene.overflight, tile, processing, window, content)
    return _write_item(target, item)


def _seen(scene: _Scene, window: Window) -> NDArray[np.bool_]:
    edge = scene.overflight.edge
    if edge is None:
        return np.ones((window.height, window.width), dtype=bool)
    return edge.covers(window, scene.settings.size_px)


def _coarse(window: Window) -> Window:
    return Window(
        west_m=window.west_m,
        north_m=window.north_m,
        pixel_m=window.pixel_m * 2,
        height=window.height // 2,
        width=window.width // 2,
    )


def _cut(plane: NDArray[_Number], window: Window) -> NDArray[_Number]:
    left = (window.west_m - WEST_M) // window.pixel_m
    return plane[: window.height, left : left + window.width]


def _footprint(scene: _Scene, window: Window) -> BaseGeometry:
    west, south, east, north = window.bounds
    box = shapely.box(west, south, east, north)
    edge = scene.overflight.edge
    if edge is None:
        return box
    size_px = scene.settings.size_px
    top, bottom = edge.line_x(np.array([north, south], dtype=float), size_px)
    far = west - 1e5 if edge.keep == "west" else east + 1e5
    return box & shapely.Polygon([(top, north), (far, north), (far, south), (bottom, south)])


# -- Landsat -----------------------------------------------------------------------------------


def _write_landsat(folder: Path, scene: _Scene) -> list[Json]:
    size_px = scene.settings.size_px
    reduce = to_landsat(size_px)
    inner = landsat_window(size_px)
    window = inner.grown(LANDSAT_MARGIN_PX)
    name = items_landsat.landsat_id(scene.overflight)
    target = folder / "landsat-c2-l2" / name
    target.mkdir(parents=True, exist_ok=True)
    for role, plane in scene.reflectance(LANDSAT, lambda _: reduce).items():
        band = next(band for band in LANDSAT if band.role == role)
        numbers = np.pad(encode.landsat_numbers(plane), LANDSAT_MARGIN_PX)
        path = target / f"{name}_{band.product_name}.TIF"
        encode.write_cog(path, numbers, window, classes=False)
    sky, water = scene.sky(reduce), reduce(scene.water) > 0.5
    quality = np.pad(encode.quality_bits(sky, water), LANDSAT_MARGIN_PX, constant_values=1)
    encode.write_cog(target / f"{name}_QA_PIXEL.TIF", quality, window, classes=True)
    red, nir = reduce(scene.clean["red"]), reduce(scene.clean["nir08"])
    seen = np.ones(water.shape, dtype=bool)
    codes = encode.scene_classes(sky, (nir - red) / (nir + red), water, seen)
    west, south, east, north = inner.bounds
    content = _content(shapely.box(west, south, east, north), codes)
    return [_write_item(target, items_landsat.landsat_item(scene.overflight, window, content))]


# -- both --------------------------------------------------------------------------------------

_SHARES: dict[str, tuple[int, ...]] = {
    "cloud": (8, 9, 10),
    "shadow": (3,),
    "vegetation": (4,),
    "bare": (5,),
    "water": (6,),
    "cirrus": (10,),
}


def _content(footprint: BaseGeometry, codes: NDArray[np.uint8]) -> Content:
    counts = np.bincount(codes.ravel(), minlength=12)
    valid = max(int(counts[1:].sum()), 1)
    return Content(
        footprint=footprint,
        nodata_percent=100 * float(counts[0]) / codes.size,
        shares={
            name: 100 * float(sum(counts[code] for code in codes_of)) / valid
            for name, codes_of in _SHARES.items()
        },
    )


def _write_item(folder: Path, item: Json) -> Json:
    (folder / f"{item['id']}.json").write_text(json.dumps(item, indent=1))
    return item
