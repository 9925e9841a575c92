"""Outlines of many rasters at once, in the plane of any CRS.

A raster's rectangle gets vertices along its edges in its own CRS, and is projected. Where the target plane has a
discontinuity (180° of a cylindrical projection) or a pole, the projected outline is torn: it is then halved
repeatedly, pieces that are not torn are kept, and the small rest is covered by boxes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from pyproj import Transformer
from shapely.geometry import Polygon, box
from shapely.geometry.base import BaseGeometry

from pipeline.types.lonlat import wrapped

EDGE_PARTS = 64
"""Segments per edge. An edge of 110 km that is straight in one UTM zone bends by up to some 5 km in a distant one; the
segments leave a 4096th of that as error, less than half a pixel."""

LONLAT_PARTS = 16
"""Segments per edge in longitude and latitude, where outlines are only compared with rough geometries."""

PIECE_PARTS = 8
"""Segments per edge of each piece of a torn outline."""

DEEPEST = 7
"""How often a torn outline is halved: a piece is then 86 pixels of 10 m of a Sentinel-2 tile."""

JUMP = 4.0
"""A segment this many times longer than the median of its edge crosses a discontinuity."""

LONLAT = "EPSG:4326"


@dataclass(frozen=True, slots=True)
class Frame:
    """The rectangle of a raster: CRS, shape and transform; equal for all dates of one tile."""

    crs: str
    """Anything that PROJ understands."""
    shape: tuple[int, int]
    """(height, width) in pixels."""
    transform: tuple[float, ...]
    """The six numbers of an affine transform, as rasterio orders them."""

    def rectangle(self) -> Geometry:
        """Return the rectangle in its own CRS."""
        return GeoBox(self.shape, Affine(*self.transform), CRS(self.crs)).extent


def outlines(frames: Sequence[Frame], crs: str) -> NDArray[np.object_]:
    """Return the outlines of rasters in the plane of a CRS: one shapely geometry a frame.

    Each distinct frame is projected once, all of one CRS together. Parts without coordinates in the plane are left
    out, so that the outline of a raster outside it is empty. Outlines in longitude and latitude are cut at the
    antimeridian.
    """
    by_crs: dict[str, dict[Frame, None]] = {}
    for frame in frames:
        by_crs.setdefault(frame.crs, {})[frame] = None
    found: dict[Frame, BaseGeometry] = {}
    for name, members in by_crs.items():
        distinct = list(members)
        found.update(zip(distinct, _projected(distinct, _transformer(name, crs)), strict=True))
    drawn = np.empty(len(frames), object)
    drawn[:] = [found[frame] for frame in frames]
    return drawn


@lru_cache(maxsize=4096)
def rectangle(frame: Frame) -> Geometry:
    """Return `Frame.rectangle`."""
    return frame.rectangle()


@lru_cache(maxsize=4096)
def outline(frame: Frame, crs: str) -> BaseGeometry:
    """Return the outline of one raster, prepared (shapely) for many predicates; see `outlines`."""
    drawn: BaseGeometry = outlines([frame], crs)[0]
    shapely.prepare(drawn)
    return drawn


@lru_cache(maxsize=256)
def _transformer(source: str, target: str) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


def _projected(frames: Sequence[Frame], transformer: Transformer) -> list[BaseGeometry]:
    """Project frames of one CRS."""
    whole = np.tile([0.0, 0.0, 1.0, 1.0], (len(frames), 1))
    affine = np.array([_unit_transform(frame) for frame in frames])
    if transformer.target_crs is not None and transformer.target_crs.is_geographic:
        return [
            _on_the_globe(ring) for ring in _rings(whole, affine, LONLAT_PARTS, transformer)
        ]
    rings = _rings(whole, affine, EDGE_PARTS, transformer)
    sound = _sound(rings, EDGE_PARTS)
    found = np.empty(len(frames), object)
    found[sound] = shapely.polygons(rings[sound])
    sound[sound] = shapely.is_valid(found[sound])
    for index in np.flatnonzero(~sound):
        found[index] = _pieced(affine[index], transformer)
    return list(found)


def _on_the_globe(ring: NDArray[np.float64]) -> BaseGeometry:
    """Build a polygon from a ring of longitudes and latitudes without segments of 180° or more."""
    if not np.isfinite(ring).all():
        return Polygon()
    longitudes, latitudes = ring.T
    if np.ptp(longitudes) > 180.0:
        longitudes = np.unwrap(longitudes, period=360.0)
        # A ring that ends 360° from its start goes round a pole, and is closed there.
        if abs(longitudes[-1] - longitudes[0]) > 180.0:
            pole = math.copysign(90.0, latitudes.mean())
            longitudes = np.append(longitudes, longitudes[[-1, 0]])
            latitudes = np.append(latitudes, [pole, pole])
    drawn = shapely.make_valid(Polygon(np.stack([longitudes, latitudes], axis=1)))
    return wrapped(drawn)


def _unit_transform(frame: Frame) -> tuple[float, ...]:
    """Return the affine transform from fractions of the frame, 0 to 1, to its plane."""
    a, b, c, d, e, f = frame.transform
    height, width = frame.shape
    return a * width, b * height, c, d * width, e * height, f


def _rings(
    spans: NDArray[np.float64],
    affine: NDArray[np.float64],
    parts: int,
    transformer: Transformer,
) -> NDArray[np.float64]:
    """Draw rectangles, (left, top, right, bottom) in fractions of a frame: (N, 4 · parts + 1, 2)."""
    along = np.arange(parts) / parts
    zero, one = np.zeros(parts), np.ones(parts)
    right = np.concatenate([along, one, 1.0 - along, zero, [0.0]])
    down = np.concatenate([zero, along, one, 1.0 - along, [0.0]])
    left, top, far, low = (spans[:, [k]] for k in range(4))
    u, v = left + (far - left) * right, top + (low - top) * down
    a, b, c, d, e, f = (affine[:, [k]] for k in range(6))
    x, y = transformer.transform(a * u + b * v + c, d * u + e * v + f)
    return np.stack([x, y], axis=-1)


def _sound(rings: NDArray[np.float64], parts: int) -> NDArray[np.bool_]:
    """Return which rings are finite, closed and cross no discontinuity."""
    finite = np.isfinite(rings).all(axis=(1, 2))
    steps = np.full((len(rings), 4, parts), np.inf)
    steps[finite] = np.hypot(*np.moveaxis(np.diff(rings[finite], axis=1), -1, 0)).reshape(
        -1, 4, parts
    )
    longest, middle = steps.max(axis=2), np.median(steps, axis=2)
    gap = np.zeros(len(rings))
    gap[finite] = np.abs(rings[finite, -1] - rings[finite, 0]).max(axis=1)
    closed = gap <= 1e-6 * longest.max(axis=1)
    sound: NDArray[np.bool_] = finite & closed & (longest <= JUMP * middle).all(axis=1)
    return sound


def _pieced(affine: NDArray[np.float64], transformer: Transformer) -> BaseGeometry:
    """Project one torn frame in pieces; the result may be a little too large, never too small."""
    spans = np.array([[0.0, 0.0, 1.0, 1.0]])
    kept: list[BaseGeometry] = []
    for _ in range(DEEPEST):
        rings = _rings(spans, affine[None], PIECE_PARTS, transformer)
        sound = _sound(rings, PIECE_PARTS)
        pieces = np.array(shapely.polygons(rings[sound]))
        sound[sound] = valid = shapely.is_valid(pieces)
        kept += list(pieces[valid])
        spans = _halved(spans[~sound])
    # The remaining pieces cross a discontinuity; a side between two vertices is at most a pixel wide.
    rings = _rings(spans, affine[None], EDGE_PARTS, transformer)
    kept += [side for ring in rings for side in _sides(ring)]
    return shapely.union_all(kept) if kept else Polygon()


def _halved(spans: NDArray[np.float64]) -> NDArray[np.float64]:
    """Halve rectangles both ways: (4 N, 4)."""
    left, top, right, bottom = spans.T
    x, y = (left + right) / 2, (top + bottom) / 2
    quarters = [
        (left, top, x, y),
        (x, top, right, y),
        (left, y, x, bottom),
        (x, y, right, bottom),
    ]
    return np.concatenate([np.stack(quarter, axis=1) for quarter in quarters])


def _sides(ring: NDArray[np.float64]) -> list[BaseGeometry]:
    """Return boxes round the vertices on either side of a discontinuity."""
    known = ring[np.isfinite(ring).all(axis=1)]
    if len(known) < 2:
        return []
    usual = np.median(np.abs(np.diff(known, axis=0)), axis=0)
    ordered = known[np.argsort(known[:, 0])]
    gaps = np.diff(ordered[:, 0]) > JUMP * EDGE_PARTS * usual.max()
    return [
        box(*(side.min(axis=0) - usual), *(side.max(axis=0) + usual))
        for side in np.split(ordered, np.flatnonzero(gaps) + 1)
    ]


def elsewhere(source: GeoBox, stated: Geometry) -> str:
    """Say where a raster lies if that is not where its item says; else return an empty text."""
    found = source.extent.to_crs(stated.crs)  # type: ignore[arg-type]
    if found.intersects(stated):
        return ""
    return f"it lies at {_corners(found)} in {stated.crs}, the item says {_corners(stated)}"


def _corners(outline: Geometry) -> str:
    return ", ".join(f"{edge:.0f}" for edge in outline.boundingbox)
