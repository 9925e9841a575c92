"""Vector files as shapes in longitude and latitude: every layer is read, or a warning names it."""

from __future__ import annotations

import logging
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry import Point, Polygon
from shapely.geometry.base import BaseGeometry

from pipeline.config.paths import exists
from pipeline.config.vector_layers import Layer, layers_of, parts
from pipeline.types.lonlat import cut

log = logging.getLogger(__name__)

_LAYER = "|layername="
"""Before the name of one layer, behind the name of the file, as in QGIS."""

_PACKED = (".zip", ".kmz")
_VECTOR = frozenset(
    {
        *(".shp", ".gpkg", ".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson"),
        *(".jsonl", ".gdb", ".kml", ".kmz", ".gml", ".fgb", ".gpx", ".topojson", ".tab"),
        *(".mif", ".dxf", ".sqlite", ".parquet", ".geoparquet"),
    }
)
"""Suffixes of files that are read in a folder or a zip file."""
_BESIDE = frozenset(
    {
        *(".shx", ".dbf", ".prj", ".cpg", ".qpj", ".sbn", ".sbx", ".qix", ".idx", ".xml"),
        *(".xsd", ".gfs", ".dat", ".map", ".id", ".mid", ".ind", ".cst", ".qml", ".qmd"),
        *(".sld", ".lyr", ".txt", ".md", ".pdf", ".html", ".png", ".jpg", ".jpeg"),
        *(".gif", ".gpkg-wal", ".gpkg-shm"),
    }
)
"""Suffixes of files that belong to vector files or are documents: ignored without a warning."""

_MOST_BYTES = 2**30
"""Largest size of an unpacked zip file."""

_EDGE_M = 5_000.0
"""Longest edge that is reprojected by its ends alone. A straight edge of 100 km in UTM, drawn
straight again in degrees, is 230 m off at 50° N; one of 5 km, half a metre."""


def read_shapes(text: str, base: Path) -> list[BaseGeometry]:
    """Read all polygons of all layers of a vector file, of a zip file, or of a folder of them.

    Parameters
    ----------
    text
        A path; one layer of a file with ``|layername=NAME`` behind it, as QGIS writes it.
    base
        Folder that paths are relative to.

    Raises
    ------
    ValueError
        There is no such file or layer, it cannot be read to its end, a layer has no CRS,
        or has lines or points.
    """
    name, _, wanted = text.partition(_LAYER)
    path = base / Path(name).expanduser()
    if not exists(path):
        raise ValueError(f"there is no file {path}")
    with _unpacked(path) as files:
        layers = [layer for file in files for layer in layers_of(*file)]
    if wanted:
        layers = _only(wanted, layers)
    _refuse_lines_and_points(path, layers)
    for layer in layers:
        _warn_of_omissions(layer)
    return [each for layer in layers if layer.shapes is not None for each in _to_lonlat(layer)]


# -- files -------------------------------------------------------------------------------------


@contextmanager
def _unpacked(path: Path) -> Iterator[list[tuple[str, Path]]]:
    """Yield the files to read, each behind the name that messages use for it."""
    if path.is_dir() and path.suffix.lower() != ".gdb":
        yield _files_in(path, path.name)
    elif path.suffix.lower() in _PACKED and zipfile.is_zipfile(path):
        with tempfile.TemporaryDirectory() as folder:
            _unpack(path, folder)
            yield _files_in(Path(folder), path.name)
    else:
        yield [(path.name, path)]


def _unpack(path: Path, folder: str) -> None:
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(each.file_size for each in packed.infolist())
            if size > _MOST_BYTES:
                raise ValueError(f"{path} has {size} bytes unpacked, more than {_MOST_BYTES}")
            packed.extractall(folder)
    # RuntimeError: a password; its subclass NotImplementedError: an unknown compression.
    except (zipfile.BadZipFile, OSError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path} cannot be unpacked: {error}") from None


def _files_in(folder: Path, name: str) -> list[tuple[str, Path]]:
    inside = sorted(folder.rglob("*"))
    databases = [each for each in inside if each.suffix.lower() == ".gdb" and each.is_dir()]
    files = [
        each
        for each in inside
        if each.is_file() and not any(each.is_relative_to(one) for one in databases)
    ]
    found = [*databases, *(each for each in files if each.suffix.lower() in _VECTOR)]
    for each in files:
        if each.suffix.lower() not in _VECTOR | _BESIDE:
            log.warning("%s in %s is left out: no vector file", each.relative_to(folder), name)
    if not found:
        raise ValueError(f"{name} has no vector file ({', '.join(sorted(_VECTOR))})")
    return [(f"{name}/{each.relative_to(folder)}", each) for each in found]


# -- messages ----------------------------------------------------------------------------------


def _only(wanted: str, layers: Sequence[Layer]) -> list[Layer]:
    chosen = [each for each in layers if each.name.startswith(f"layer {wanted!r} of ")]
    if not chosen:
        names = ", ".join(each.name for each in layers)
        raise ValueError(f"there is no layer {wanted!r}; there is {names}")
    return chosen


def _refuse_lines_and_points(path: Path, layers: Sequence[Layer]) -> None:
    wrong = {each.name: " and ".join(each.not_areas) for each in layers if each.not_areas}
    if not any(each.shapes is not None for each in layers):
        raise ValueError(f"{path} has no geometries")
    if not wrong:
        return
    names = "; ".join(
        f"{name} has {kinds}, which cover no area" for name, kinds in wrong.items()
    )
    whole = [each for each in layers if each.has_areas and not each.not_areas]
    hint = ""
    if whole:
        example = whole[0].name.removeprefix("layer ").split(" of ")[0].strip("'")
        hint = f": take them out, or name the layer to use: {path.name}{_LAYER}{example}"
    raise ValueError(f"{names}{hint}")


def _warn_of_omissions(layer: Layer) -> None:
    if layer.shapes is None:
        log.warning("%s is left out: it has no geometries", layer.name)
    elif layer.n_missing:
        log.warning(
            "%s: %d of %d features are left out: they have no geometry",
            layer.name,
            layer.n_missing,
            layer.n_missing + len(layer.shapes),
        )
    elif not len(layer.shapes):
        log.warning("%s is left out: it is empty", layer.name)


# -- coordinates -------------------------------------------------------------------------------


def _to_lonlat(layer: Layer) -> list[BaseGeometry]:
    from pyproj.exceptions import ProjError  # noqa: PLC0415

    shapes = layer.shapes[~layer.shapes.is_empty].force_2d()
    try:
        if shapes.crs.is_geographic:
            return list(shapes.to_crs(4326))
        return _along_edges(shapes)
    except ProjError as error:
        raise ValueError(
            f"{layer.name}: its CRS cannot be converted to longitude and latitude: {error}"
        ) from None


def _along_edges(shapes: Any) -> list[BaseGeometry]:  # noqa: ANN401 -- a geopandas.GeoSeries
    """Reproject outlines, with vertices added so that edges stay in position."""
    # An outline that crosses itself has no inner point.
    shapes = shapes.make_valid().explode()
    shapes = shapes[shapes.geom_type == "Polygon"]
    found = shapes.segmentize(_EDGE_M / _metres_per_unit(shapes.crs)).to_crs(4326)
    inner = shapes.representative_point().to_crs(4326)
    return [_cut(each, point) for each, point in zip(found, inner, strict=True)]


def _metres_per_unit(crs: Any) -> float:  # noqa: ANN401 -- a pyproj.CRS
    return float(crs.axis_info[0].unit_conversion_factor) or 1.0


def _cut(outline: BaseGeometry, inner: Point) -> BaseGeometry:
    """Cut an outline that crosses the antimeridian; `inner` must be inside the result."""
    if not np.isfinite(shapely.get_coordinates([outline, inner])).all():
        raise ValueError(
            "it has coordinates that its CRS cannot bring to longitude and latitude"
        )
    # Vertices are close together here: a step of more than 180° is a jump across the map.
    done = cut(outline) if _jumps(outline) else outline
    if not done.buffer(1e-6).covers(inner):
        raise ValueError("it goes round a pole or the antimeridian: cut it in two there")
    return done


def _jumps(geometry: BaseGeometry) -> bool:
    """Tell whether an outline jumps from one side of the map to the other."""
    rings = (part.exterior for part in parts([geometry]) if isinstance(part, Polygon))
    return any(
        np.abs(np.diff(shapely.get_coordinates(ring)[:, 0])).max(initial=0) > 180
        for ring in rings
    )
