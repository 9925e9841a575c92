"""The legend of masks, also in the forms of GDAL, QGIS and ArcGIS; fingerprints that have a meaning of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

PIXEL_VERSION = 7
"""Part of every fingerprint: raised when the meaning of stored pixels changes."""


class Code(IntEnum):
    """Classes of a mask: the seven of SEnSeI-v2 (Francis 2024), one legend for all models."""

    NO_DATA = 0
    CLEAR = 1
    """Land, or clear of unknown kind."""
    WATER = 2
    SNOW = 3
    """Snow or ice."""
    THIN_CLOUD = 4
    THICK_CLOUD = 5
    """Thick cloud, or cloud of unknown kind."""
    CLOUD_SHADOW = 6


USABLE: tuple[Code, ...] = (Code.CLEAR, Code.WATER, Code.SNOW)
"""The classes whose pixels show the ground."""

CLOUD: tuple[Code, ...] = (Code.THIN_CLOUD, Code.THICK_CLOUD)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendEntry:
    """One class, as files and maps show it."""

    code: Code
    meaning: str
    """Word of CF ``flag_meanings``."""
    label: str
    colour: str
    """``#rrggbb``."""


LEGEND: tuple[LegendEntry, ...] = tuple(
    LegendEntry(code=code, meaning=code.name.lower(), label=label, colour=colour)
    for code, label, colour in (
        (Code.NO_DATA, "no data", "#000000"),
        (Code.CLEAR, "clear", "#7fa66a"),
        (Code.WATER, "water", "#3b6fb6"),
        (Code.SNOW, "snow or ice", "#a6e3f4"),
        (Code.THIN_CLOUD, "thin cloud", "#c9c3d9"),
        (Code.THICK_CLOUD, "thick cloud", "#ffffff"),
        (Code.CLOUD_SHADOW, "cloud shadow", "#4a3b57"),
    )
)


def is_usable(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which pixels of a mask show the ground.

    Parameters
    ----------
    mask
        Codes of `Code`, any shape.

    Returns
    -------
    Booleans of the same shape: true for clear, water, and snow or ice.
    """
    usable: NDArray[np.bool_] = np.isin(mask, [int(code) for code in USABLE])
    return usable


NEVER = 0
"""Fingerprint of a cell that was never made."""

UNCOVERED = 1
"""Fingerprint of a cell that no item covers: there is nothing to do."""

UNREADABLE = 2
"""Fingerprint of a cell whose items could not be read, none of them."""

UNFIT: tuple[str, ...] = ("saturated", "defective", "wrapped")
"""Kinds of numbers that are no reflectance. ``saturated``: the detector's maximum, or brighter than any surface.
``defective``: marked as defective, dropped or hidden. ``wrapped``: out of range, as after an overflow of 16 bits. A cube
has a kind's position here, counted from 1; of several, the last."""


# -- colours and names in files -------------------------------------------------------------------

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
