"""Capabilities of a Web Map Tile Service (WMTS 1.0.0): what QGIS and GDAL read to find tiles and their times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import morecantile

from pipeline.serve.routes.describe import written
from pipeline.serve.state import State, period_name

MEDIA_TYPE = "application/xml"
WMTS, OWS, XLINK = (
    "http://www.opengis.net/wmts/1.0",
    "http://www.opengis.net/ows/1.1",
    "http://www.w3.org/1999/xlink",
)
MAX_ZOOM = 16


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of the service: one of its times is shown at once."""

    id: str
    title: str
    times: tuple[str, ...]
    query: dict[str, str]


def layers_of(state: State) -> Iterator[Layer]:
    """Yield the masks of each sensor, and each composite in its own colours and as NDVI."""
    for sensor in state.sensors:
        times = tuple(written(each.time) for each in state.masks(sensor).scenes)
        yield Layer(
            f"mask-{sensor}", f"Masks of {sensor}", times, {"layer": "mask", "sensor": sensor}
        )
    for name, periods in state.composites.items():
        times = tuple(
            period_name(each) for each in sorted(periods, key=lambda each: each.start)
        )
        roles = state.attributes("composites", name)["roles"]
        query = {"layer": "composite", "name": name}
        if {"red", "green", "blue"} <= {*roles}:
            yield Layer(f"composite-{name}", f"Composite {name}", times, query)
        if {"red", "nir"} <= {*roles}:
            yield Layer(f"ndvi-{name}", f"NDVI of {name}", times, query | {"bands": "ndvi"})


def capabilities(
    state: State, base: str, matrices: morecantile.TileMatrixSet, name: str
) -> bytes:
    """Return the document; `base` is the address of the archive's tiles in these matrices."""
    for prefix, uri in (("", WMTS), ("ows", OWS), ("xlink", XLINK)):
        ET.register_namespace(prefix, uri)
    root = ET.Element(f"{{{WMTS}}}Capabilities", version="1.0.0")
    service = ET.SubElement(root, f"{{{OWS}}}ServiceIdentification")
    _text(service, OWS, Title=state.archive.title or state.name, ServiceType="OGC WMTS")
    _text(service, OWS, ServiceTypeVersion="1.0.0")
    contents = ET.SubElement(root, f"{{{WMTS}}}Contents")
    for layer in layers_of(state):
        if layer.times:
            contents.append(_layer(state, layer, base, name))
    contents.append(_matrices(matrices, name))
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _text(parent: ET.Element, space: str, **values: object) -> None:
    for name, value in values.items():
        ET.SubElement(parent, f"{{{space}}}{name}").text = str(value)


def _layer(state: State, layer: Layer, base: str, matrices: str) -> ET.Element:
    element = ET.Element(f"{{{WMTS}}}Layer")
    _text(element, OWS, Title=layer.title)
    west, south, east, north = state.grid.geobox.geographic_extent.boundingbox
    box = ET.SubElement(element, f"{{{OWS}}}WGS84BoundingBox")
    _text(box, OWS, LowerCorner=f"{west} {south}", UpperCorner=f"{east} {north}")
    _text(element, OWS, Identifier=layer.id)
    style = ET.SubElement(element, f"{{{WMTS}}}Style", isDefault="true")
    _text(style, OWS, Identifier="default")
    _text(element, WMTS, Format="image/png")
    dimension = ET.SubElement(element, f"{{{WMTS}}}Dimension")
    _text(dimension, OWS, Identifier="time")
    _text(dimension, WMTS, Default=layer.times[-1])
    for time in layer.times:
        _text(dimension, WMTS, Value=time)
    link = ET.SubElement(element, f"{{{WMTS}}}TileMatrixSetLink")
    _text(link, WMTS, TileMatrixSet=matrices)
    template = f"{base}/{{TileMatrix}}/{{TileCol}}/{{TileRow}}.png?{urlencode(layer.query)}&time={{time}}"
    attributes = {"format": "image/png", "resourceType": "tile", "template": template}
    ET.SubElement(element, f"{{{WMTS}}}ResourceURL", attributes)
    return element


def _matrices(matrices: morecantile.TileMatrixSet, name: str) -> ET.Element:
    element = ET.Element(f"{{{WMTS}}}TileMatrixSet")
    _text(
        element,
        OWS,
        Identifier=name,
        SupportedCRS=f"urn:ogc:def:crs:EPSG::{matrices.crs.to_epsg()}",
    )
    for zoom in range(MAX_ZOOM + 1):
        matrix = matrices.matrix(zoom)
        each = ET.SubElement(element, f"{{{WMTS}}}TileMatrix")
        _text(each, OWS, Identifier=matrix.id)
        _text(
            each,
            WMTS,
            ScaleDenominator=matrix.scaleDenominator,
            TopLeftCorner="{} {}".format(*matrix.pointOfOrigin),
            TileWidth=matrix.tileWidth,
            TileHeight=matrix.tileHeight,
            MatrixWidth=matrix.matrixWidth,
            MatrixHeight=matrix.matrixHeight,
        )
    return element
