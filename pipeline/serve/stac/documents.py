"""Collections and items of a snapshot: a collection a sensor or composite, an item a scene or period."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from pipeline.serve.routes.describe import written
from pipeline.serve.state import State
from pipeline.types import CLOUD, LEGEND, UNREADABLE, USABLE, Code
from pipeline.types.roles import ROLES

Json = dict[str, Any]

VERSION = "1.0.0"
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
EXTENSIONS = [
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
]
BESIDE = ("count", "day", "source")


@dataclass(frozen=True, slots=True)
class Item:
    """An item, and what it is searched by."""

    id: str
    collection: str
    outline: BaseGeometry
    """In degrees."""
    start: datetime
    end: datetime
    """Last instant; that of a scene is its start."""
    document: Json
    """Hrefs of assets are relative to the server's address."""


def collection_ids(state: State) -> list[str]:
    """Return the ids of an archive's collections."""
    masks = [f"{state.name}-masks-{each}" for each in state.sensors]
    return [*masks, *(f"{state.name}-composites-{each}" for each in state.composites)]


def collections(state: State) -> list[Json]:
    """Return the collections of an archive, without links."""
    found = [
        (f"{state.name}-masks-{each}", f"Cloud and cloud shadow masks of {each}")
        for each in state.sensors
    ]
    found += [
        (f"{state.name}-composites-{each}", f"Composite {each} of the clear observations")
        for each in state.composites
    ]
    return [_collection(state, name, title) for name, title in found]


def _collection(state: State, name: str, title: str) -> Json:
    of_it = [each for each in items(state) if each.collection == name]
    starts, ends = [each.start for each in of_it], [each.end for each in of_it]
    span = [written(min(starts)), written(max(ends))] if of_it else [None, None]
    box = list(state.grid.geobox.geographic_extent.boundingbox)
    return {
        "type": "Collection",
        "id": name,
        "stac_version": VERSION,
        "title": f"{state.archive.title or state.name}: {title}",
        "description": title,
        "license": "other",
        "extent": {"spatial": {"bbox": [box]}, "temporal": {"interval": [span]}},
        "summaries": {"gsd": [state.grid.resolution_m]},
        "links": [],
    }


@lru_cache(maxsize=16)
def items(state: State) -> tuple[Item, ...]:
    """Return all items of an archive, by time."""
    found = [
        *(item for sensor in state.sensors for item in _scenes(state, sensor)),
        *(item for name in state.composites for item in _periods(state, name)),
    ]
    return tuple(sorted(found, key=lambda each: (each.start, each.id)))


def _scenes(state: State, sensor: str) -> Iterator[Item]:
    masks = state.masks(sensor)
    cells = np.asarray(masks.reader("fingerprint", (slice(None),)))
    counts = np.asarray(masks.reader("histogram", (slice(None),))).sum((1, 2), dtype=np.int64)
    arrays = ("mask", "confidence") if state.has_confidence(sensor) else ("mask",)
    for scene in masks.scenes:
        outline = _outline(state, cells[scene.position] > UNREADABLE)
        if outline is None:
            continue
        name = f"{state.name}-masks-{sensor}-{_stamp(scene.time)}"
        place = f"archives/{state.name}/assets/masks/{sensor}/{_stamp(scene.time)}"
        properties = {
            "datetime": written(scene.time),
            "platform": scene.platform,
            **_shares(counts[scene.position]),
        }
        document = _document(state, (name, f"{state.name}-masks-{sensor}"), outline, properties)
        document["assets"] = {each: _asset(state, place, each) for each in arrays}
        yield Item(name, document["collection"], outline, scene.time, scene.time, document)


def _periods(state: State, name: str) -> Iterator[Item]:
    cells = state.pixels("composites", name, 1, "fingerprint", (slice(None),))
    attributes = state.attributes("composites", name)
    arrays = (*attributes["roles"], *attributes.get("layers", []), *BESIDE)
    for at, period in enumerate(state.composites[name]):
        outline = _outline(state, cells[at] > 0)
        if outline is None:
            continue
        stamp, last = _stamp(period.start), period.end - timedelta(microseconds=1)
        item = f"{state.name}-composites-{name}-{stamp}"
        place = f"archives/{state.name}/assets/composites/{name}/{stamp}"
        properties = {
            "datetime": None,
            "start_datetime": written(period.start),
            "end_datetime": written(last),
        }
        document = _document(
            state, (item, f"{state.name}-composites-{name}"), outline, properties
        )
        document["assets"] = {each: _asset(state, place, each) for each in arrays}
        yield Item(item, document["collection"], outline, period.start, last, document)


def _document(
    state: State, names: tuple[str, str], outline: BaseGeometry, properties: Json
) -> Json:
    geobox = state.grid.geobox
    epsg = geobox.crs.epsg if geobox.crs is not None else None
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": EXTENSIONS,
        "id": names[0],
        "collection": names[1],
        "geometry": shapely.geometry.mapping(outline),
        "bbox": list(outline.bounds),
        "properties": {
            **properties,
            "gsd": state.grid.resolution_m,
            "proj:code": None if epsg is None else f"EPSG:{epsg}",
            "proj:shape": list(geobox.shape),
            "proj:transform": list(geobox.affine)[:6],
            "cloudmask:snapshot": state.snapshot,
        },
        "links": [],
        "assets": {},
    }


def _band(kind: str, name: str) -> Json:
    """Return how `pipeline.query.export` writes an array."""
    if kind == "masks":
        return {"data_type": "uint8", "nodata": 0}
    if name in ROLES:
        return {"data_type": "int16", "nodata": -32768, "scale": 1e-4, "offset": 0}
    return {"data_type": "float32", "nodata": "nan"}


def _asset(state: State, place: str, name: str) -> Json:
    asset: Json = {
        # Of this snapshot: what is cached of it stays right.
        "href": f"{place}/{name}.tif?as_of={state.snapshot}",
        "type": COG,
        "title": name,
        "roles": ["data"],
        "raster:bands": [_band(place.split("/")[3], name)],
    }
    if name == "mask":
        asset["classification:classes"] = [
            {
                "value": int(each.code),
                "name": each.meaning,
                "description": each.label,
                "color_hint": each.colour.lstrip("#").upper(),
                **({"nodata": True} if each.code == Code.NO_DATA else {}),
            }
            for each in LEGEND
        ]
    return asset


def _shares(counts: NDArray[np.int64]) -> Json:
    seen = int(counts.sum() - counts[Code.NO_DATA])
    if not seen:
        return {}
    return {
        "eo:cloud_cover": round(100 * int(counts[list(CLOUD)].sum()) / seen, 4),
        "cloudmask:clear_percent": round(100 * int(counts[list(USABLE)].sum()) / seen, 4),
    }


def _outline(state: State, made: NDArray[np.bool_]) -> BaseGeometry | None:
    """Return the outline of some tiles in degrees; none: there are none."""
    return _outlined(state.grid.geobox, state.grid.tile_px, made.shape, made.tobytes())


@lru_cache(maxsize=256)
def _outlined(
    geobox: GeoBox, tile_px: int, shape: tuple[int, int], made: bytes
) -> BaseGeometry | None:
    ny, nx = geobox.shape
    boxes = []
    for row, col in np.argwhere(np.frombuffer(made, bool).reshape(shape)):
        left, top = geobox.affine @ (col * tile_px, row * tile_px)
        right, bottom = geobox.affine @ (
            min((col + 1) * tile_px, nx),
            min((row + 1) * tile_px, ny),
        )
        boxes.append(shapely.box(left, bottom, right, top))
    if not boxes:
        return None
    assert geobox.crs is not None, "a grid has a CRS"
    to_degrees = pyproj.Transformer.from_crs(geobox.crs.proj, "EPSG:4326", always_xy=True)
    joined = shapely.segmentize(shapely.union_all(boxes), 20_000)
    return shapely.transform(
        joined, lambda xy: np.column_stack(to_degrees.transform(xy[:, 0], xy[:, 1]))
    )


def _stamp(instant: datetime) -> str:
    """Return an instant as a part of an id: to the second, or finer where it is not whole."""
    utc = instant.astimezone(UTC)
    return f"{utc:%Y%m%dT%H%M%S}" + (f"{utc.microsecond:06d}" if utc.microsecond else "")


def instant_of(stamp: str) -> datetime:
    """Read what `_stamp` wrote; raises `ValueError`."""
    form = "%Y%m%dT%H%M%S" if len(stamp) == 15 else "%Y%m%dT%H%M%S%f"
    return datetime.strptime(stamp, form).replace(tzinfo=UTC)
