"""Styles of quality layers, which QGIS takes up by itself where they lie beside a raster as ``.qml``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.etree import ElementTree as ET

STYLE = ".qml"
"""Ending of a style, instead of the raster's."""


class _Step(NamedTuple):
    """A colour, and what it stands for."""

    most: float
    """Numbers up to this one; of the last also those beyond."""
    colour: str
    label: str


_STEPS: Mapping[str, Sequence[_Step]] = {
    "count": (
        _Step(0, "#000000", "no data"),
        _Step(1, "#d73027", "1 observation"),
        _Step(2, "#fc8d59", "2"),
        _Step(4, "#fee08b", "3 or 4"),
        _Step(8, "#91cf60", "5 to 8"),
        _Step(65535, "#1a9850", "9 or more"),
    ),
    # Pixels of overviews are means.
    "suspect": (_Step(0.5, "#1a9850", "sure"), _Step(1, "#d73027", "suspect")),
    "score": (
        _Step(0.2, "#d73027", "up to .2"),
        _Step(0.4, "#fc8d59", "up to .4"),
        _Step(0.6, "#fee08b", "up to .6"),
        _Step(0.8, "#91cf60", "up to .8"),
        _Step(1, "#1a9850", "above .8"),
    ),
}
"""Quality layers that have colours: the same in each composite, so that two can be compared."""


def has_style(name: str) -> bool:
    """Return whether a layer of a composite has a style."""
    return name in _STEPS


def style_of(name: str) -> str:
    """Return the style of a layer, as QGIS 3 reads it: steps of colours with their names."""
    steps = _STEPS[name]
    root = ET.Element("qgis", version="3.22", styleCategories="Symbology")
    renderer = ET.SubElement(
        ET.SubElement(root, "pipe"),
        "rasterrenderer",
        {
            "type": "singlebandpseudocolor",
            "band": "1",
            "alphaBand": "-1",
            "opacity": "1",
            "classificationMin": "0",
            "classificationMax": f"{steps[-1].most:g}",
        },
    )
    shader = ET.SubElement(
        ET.SubElement(renderer, "rastershader"),
        "colorrampshader",
        {
            "colorRampType": "DISCRETE",
            "classificationMode": "1",
            "clip": "0",
            "minimumValue": "0",
            "maximumValue": f"{steps[-1].most:g}",
        },
    )
    for step in steps:
        ET.SubElement(
            shader,
            "item",
            value="inf" if step is steps[-1] else f"{step.most:g}",
            color=step.colour,
            alpha="0" if step.label == "no data" else "255",
            label=step.label,
        )
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"
