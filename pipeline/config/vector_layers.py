"""The layers of one vector file: every one of them, read to its end or named in an error."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry import Polygon, shape
from shapely.geometry.base import BaseGeometry

from pipeline.wording import counted

log = logging.getLogger(__name__)

_PARQUET = (".parquet", ".geoparquet")

_MENDED = ("Non closed ring", "Measured (M)")
"""Beginnings of GDAL's warnings about what is repaired here or does not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of one file."""

    name: str
    """As messages call it."""
    shapes: Any
    """A geopandas.GeoSeries; none: a table without geometries."""
    n_missing: int = 0
    """Features that have no geometry."""

    @property
    def not_areas(self) -> list[str]:
        """Types of its geometries that have no area."""
        kinds = {each.geom_type for each in parts(self._given)}
        return sorted(kinds - {"Polygon"})

    @property
    def has_areas(self) -> bool:
        """Tell whether it has a polygon."""
        return any(isinstance(each, Polygon) for each in parts(self._given))

    @property
    def _given(self) -> list[BaseGeometry]:
        return [] if self.shapes is None else list(self.shapes)


def parts(shapes: Iterable[BaseGeometry]) -> Iterator[BaseGeometry]:
    """Yield the parts of collections, nested ones included, without empty ones."""
    for each in shapes:
        inner = getattr(each, "geoms", None)
        if inner is not None:
            yield from parts(inner)
        elif not each.is_empty:
            yield each


def layers_of(name: str, path: Path) -> Iterator[Layer]:
    """Read every layer of a file.

    Raises
    ------
    ValueError
        It is no vector file, or one of its layers cannot be read to its end or has no CRS.
    """
    if path.suffix.lower() in _PARQUET:
        yield _parquet(name, path)
        return
    # Half a second to import, and few jobs need it.
    import pyogrio  # noqa: PLC0415
    from pyogrio.errors import DataSourceError  # noqa: PLC0415

    # Absolute: GDAL could take a part of a relative path for a scheme.
    source = str(path.absolute())
    try:
        with _warnings_of_gdal():
            names = [str(layer) for layer, _ in pyogrio.list_layers(source)]
            facts = [pyogrio.read_info(source, layer=each) for each in names]
    except (DataSourceError, ValueError, OSError, RuntimeError) as error:
        raise ValueError(f"{name} cannot be read as a vector file: {error}") from None
    drivers = {each["driver"] for each in facts}
    if drivers == {"GeoJSONSeq"}:
        yield _json_lines(name, path)
        return
    _refuse_more_or_less(name, path, drivers)
    _warn_of_links(name, path)
    for each, known in zip(names, facts, strict=True):
        layer, count = _layer(name, source, each, lonlat="TopoJSON" in drivers)
        if 0 <= count < known["features"]:
            raise ValueError(
                f"{layer.name} ends after {count} of {counted(known['features'], 'feature')}: is it whole?"
            )
        yield layer


def _refuse_more_or_less(name: str, path: Path, drivers: set[str]) -> None:
    """Refuse what GDAL reads in part, without a warning: JSON with text behind it, a truncated shapefile."""
    try:
        if drivers & {"GeoJSON", "TopoJSON", "ESRIJSON"}:
            json.loads(path.read_bytes())
    except (ValueError, OSError, RecursionError) as error:
        raise ValueError(f"{name} cannot be read as JSON: {error}") from None
    if path.suffix.lower() == ".shp":
        with path.open("rb") as file:
            # The header has the length in words of 16 bits.
            length = 2 * int.from_bytes(file.read(28)[24:], "big")
        if length > (size := path.stat().st_size):
            raise ValueError(f"{name} has {size} of its {length} bytes: is it whole?")


def _layer(file: str, source: str, layer: str, *, lonlat: bool) -> tuple[Layer, int]:
    """Read one layer, and count its features; `lonlat`: the format is always in longitude and latitude."""
    import geopandas  # noqa: PLC0415
    from pyogrio.raw import read  # noqa: PLC0415

    name = f"layer {layer!r} of {file}"
    try:
        with _warnings_of_gdal() as words:
            meta, _, found, _ = read(source, layer=layer, columns=[])
    # The errors of pyogrio are RuntimeErrors.
    except (ValueError, OSError, RuntimeError) as error:
        raise ValueError(f"{name} cannot be read: {error}") from None
    if found is None:
        return Layer(name=name, shapes=None), -1
    given = np.array([each is not None for each in found], bool)
    # Open rings are closed.
    shapes = shapely.from_wkb(found, on_invalid="fix")
    unknown = given & shapely.is_missing(shapes)
    if unknown.any() or (words and not given.all()):
        count = int(unknown.sum() + (~given).sum())
        why = f": {'; '.join(words)}" if words else ""
        raise ValueError(
            f"{name} has {count} of {len(given)} shapes that cannot be read{why}; take them out or "
            "mend them"
        )
    crs = meta["crs"] or ("EPSG:4326" if lonlat else None)
    if crs is None and len(given):
        raise ValueError(f"{name} has no CRS")
    for each in words:
        log.warning("%s: %s", name, each)
    series = geopandas.GeoSeries(shapes[given], crs=crs)
    return Layer(name=name, shapes=series, n_missing=int((~given).sum())), len(given)


@contextmanager
def _warnings_of_gdal() -> Iterator[list[str]]:
    """Collect GDAL's warnings, which arrive as Python's; those that do not matter are left out."""
    words: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield words
    texts = dict.fromkeys(str(each.message) for each in caught)
    words += [each for each in texts if not each.startswith(_MENDED)]


def _parquet(file: str, path: Path) -> Layer:
    import geopandas  # noqa: PLC0415

    try:
        frame = geopandas.read_parquet(path)
    except ImportError:
        raise ValueError(
            f"{file}: reading GeoParquet needs pyarrow: install cloudmask[geoparquet], or write the "
            "area as GeoPackage or GeoJSON"
        ) from None
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(f"{file} cannot be read as GeoParquet: {error}") from None
    active = frame.geometry.name
    others = [
        each for each, kind in frame.dtypes.items() if kind == "geometry" and each != active
    ]
    if others:
        log.warning("%s: column %r is the area; %s left out", file, active, ", ".join(others))
    if frame.crs is None:
        raise ValueError(f"{file} has no CRS")
    shapes = frame.geometry[frame.geometry.notna()]
    return Layer(name=file, shapes=shapes, n_missing=len(frame) - len(shapes))


def _json_lines(file: str, path: Path) -> Layer:
    """Read one GeoJSON object a line; GDAL would silently leave out a wrong line."""
    import geopandas  # noqa: PLC0415

    found: list[BaseGeometry | None] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip(" \t\x1e")
        if not text:
            continue
        try:
            document = json.loads(text)
            given = document["geometry"] if document.get("type") == "Feature" else document
            found.append(None if given is None else shape(given))
        # shapely raises errors of many kinds for wrong mappings.
        except Exception as error:  # noqa: BLE001
            raise ValueError(f"{file}, line {number}: no GeoJSON: {error}") from None
    shapes = [each for each in found if each is not None]
    series = geopandas.GeoSeries(shapes, crs=4326)
    return Layer(name=file, shapes=series, n_missing=len(found) - len(shapes))


def _warn_of_links(name: str, path: Path) -> None:
    if path.suffix.lower() == ".kml" and b"<NetworkLink" in path.read_bytes():
        log.warning("%s has links to other files (NetworkLink), which are not followed", name)
