"""The legend in the forms of GDAL, QGIS and ArcGIS: a colour table, category names, a style."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from pipeline.types.legend import LEGEND, Code, LegendEntry

SIDECAR = ".aux.xml"
"""GDAL's persistent metadata are in a file with the raster's name and this suffix."""

_FIELDS = (("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8))
"""Columns of the attribute table: name, GDALRATFieldType, GDALRATFieldUsage."""

Rgba = tuple[int, int, int, int]


def colour_table() -> dict[int, Rgba]:
    """Return the colour of each code, 0 to 255; no data is transparent."""
    return {int(entry.code): _rgba(entry) for entry in LEGEND}


def _rgba(entry: LegendEntry) -> Rgba:
    red, green, blue = bytes.fromhex(entry.colour.lstrip("#"))
    return red, green, blue, 0 if entry.code == Code.NO_DATA else 255


def sidecar(bands: Iterable[int]) -> str:
    """Return the XML file beside a raster that names the classes of some bands.

    A TIFF has no names of classes, and a colour table only if it has one band: GDAL writes both into
    a file beside it. ArcGIS, and QGIS where the colour table is missing, use the attribute table.

    Parameters
    ----------
    bands
        Numbers of the bands that are masks, from 1.
    """
    root = ET.Element("PAMDataset")
    for number in bands:
        band = ET.SubElement(root, "PAMRasterBand", band=str(number))
        ET.SubElement(band, "ColorInterp").text = "Palette"
        colours = ET.SubElement(band, "ColorTable")
        names = ET.SubElement(band, "CategoryNames")
        for entry in LEGEND:
            parts = dict(zip(("c1", "c2", "c3", "c4"), map(str, _rgba(entry)), strict=True))
            ET.SubElement(colours, "Entry", parts)
            ET.SubElement(names, "Category").text = entry.label
        band.append(_attribute_table())
    return _text(root)


def _attribute_table() -> ET.Element:
    table = ET.Element("GDALRasterAttributeTable", tableType="thematic")
    for number, (name, kind, usage) in enumerate(_FIELDS):
        field = ET.SubElement(table, "FieldDefn", index=str(number))
        for key, value in (("Name", name), ("Type", kind), ("Usage", usage)):
            ET.SubElement(field, key).text = str(value)
    for number, entry in enumerate(LEGEND):
        row = ET.SubElement(table, "Row", index=str(number))
        for value in (int(entry.code), entry.label, *_rgba(entry)[:3]):
            ET.SubElement(row, "F").text = str(value)
    return table


def qgis_style() -> str:
    """Return a style that QGIS uses by itself when it is beside a raster as ``.qml``.

    It shows the first band in the colours of the legend; without it, QGIS shows the first three bands
    as red, green and blue.
    """
    root = ET.Element("qgis", version="3.22", styleCategories="Symbology")
    renderer = ET.SubElement(
        ET.SubElement(root, "pipe"),
        "rasterrenderer",
        {"type": "paletted", "band": "1", "alphaBand": "-1", "opacity": "1"},
    )
    palette = ET.SubElement(renderer, "colorPalette")
    for entry in LEGEND:
        ET.SubElement(
            palette,
            "paletteEntry",
            value=str(int(entry.code)),
            color=entry.colour,
            alpha=str(_rgba(entry)[3]),
            label=entry.label,
        )
    return _text(root)


def _text(root: ET.Element) -> str:
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"
