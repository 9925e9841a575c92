"""An evaluation as one HTML page that loads nothing: tables, and pictures of the worst images."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import ConfigError
from pipeline.evaluate.labelled import Example
from pipeline.evaluate.results import Results, Row
from pipeline.evaluate.schemes import DOUBTFUL, Scheme
from pipeline.types import LEGEND, Code
from pipeline.wording import counted

Picture = NDArray[np.uint8]

MAX_PX = 420
"""Longest edge of a picture; what is larger is thinned out."""

_PERCENTILES = (2.0, 98.0)

_GREY = (190, 190, 190)
"""Colour of pixels that are not compared: no label, no data, or a label that leaves it open."""
AGREE = (("#2b2b2b", "neither"), ("#f4f4f4", "both"))
DIFFER = (("#d7301f", "only the mask"), ("#2b6cb0", "only the label"))
"""Colours of agreement and of difference; the colour-blind see red and blue apart, too."""

_MOST_IMAGES = 200
"""Rows of the table of images on the page; the JSON has all of them."""


def write_page(results: Results, path: Path) -> Path:
    """Write an evaluation as an HTML file.

    Raises
    ------
    ConfigError
        It cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(results), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def render(results: Results) -> str:
    """Return the page as text."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.evaluate"),
        # Ids and tags come from files: never markup.
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": _cell, "counted": counted}
    which = results.evaluation
    points = which.images and not which.worst
    tables: list[tuple[str, str, list[Row]]] = [
        ("Accuracy", _ACCURACY, results.measure_rows()),
        ("User's and producer's accuracy, in percent", _POINTS, results.point_rows()),
        (
            "Difference of cloud fractions, in percent points",
            _FRACTIONS,
            results.fraction_rows(),
        ),
        ("All statistics of the superclasses, pooled", _STATISTICS, results.statistics_rows()),
        ("What was counted", "", results.count_rows()),
        ("Images", _IMAGES, results.image_rows()[:_MOST_IMAGES]),
    ]
    return environment.get_template("labelled.html").render(
        results=results,
        which=which,
        scheme=which.schemes[0],
        tables=tables,
        without_pictures=bool(points),
        worst=[_shown(example, which.schemes[0]) for example in which.worst],
        legend=[(entry.colour, entry.label) for entry in LEGEND if entry.code],
        agreement=(*AGREE, *DIFFER),
    )


_ACCURACY = (
    "Pooled: of all pixels together. Median and quartiles: of the images' own values. In brackets "
    "95 % bootstrap intervals over images. k: pixels within k of a border of the labels are left out. "
    "OA: overall accuracy; BA: mean of the recalls. Skipped: images where the measure is nothing out "
    "of nothing."
)
_POINTS = "UA, PA and balanced overall accuracy (BOA) of each class against the rest; targets are exclusive."
_FRACTIONS = (
    "Predicted minus labelled share of cloud by image: mean, and mean of the absolute values."
)
_STATISTICS = "Of the class named above each column against the rest."
_IMAGES = "At k = 0. Cloud difference: predicted minus labelled share, in percent points."


def _cell(value: object) -> str:
    """Write one value of a table."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    if isinstance(value, int):
        # Thin spaces between thousands.
        return f"{value:,}".replace(",", "\u2009")
    return str(value)


# -- pictures ----------------------------------------------------------------------------------


def _shown(example: Example, scheme: Scheme) -> dict[str, Any]:
    matrix = example.score.counts[scheme.name, 0].matrix
    total = int(matrix.sum())
    labelled = example.labelled
    truth, predicted = scheme.of_labels(labelled.labels), scheme.of_codes(example.codes)
    return {
        "id": labelled.id,
        "wrong": 100 * (total - int(np.trace(matrix))) / total if total else math.nan,
        "pixels": total,
        "tags": ", ".join(f"{key} {value}" for key, value in labelled.tags.items()),
        "image": _uri(_true_colour(example), "JPEG"),
        "label": _uri(_thin(_label_colours(labelled.labels)), "PNG"),
        "mask": _uri(_thin(_codes_colours(example.codes)), "PNG"),
        "difference": _uri(_thin(_difference(truth, predicted)), "PNG"),
    }


def _true_colour(example: Example) -> Picture:
    """Draw red, green and blue where they are there, else the first band in grey."""
    labelled = example.labelled
    pixels, roles = labelled.pixels, labelled.roles
    # Examples are made of images with pixels only.
    assert pixels is not None
    rgb = [role for role in ("red", "green", "blue") if role in roles]
    shown = rgb if len(rgb) == 3 else [roles[0]] * 3
    values = _thin(np.stack([pixels[roles.index(role)] for role in shown], axis=-1))
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, _PERCENTILES) if known.size else (0.0, 1.0)
    scaled = np.clip((values - low) / max(high - low, 1e-3), 0, 1) ** (1 / 1.2)
    drawn: Picture = np.rint(255 * np.nan_to_num(scaled)).astype(np.uint8)
    drawn[~np.isfinite(values).all(axis=-1)] = _GREY
    return drawn


def _codes_colours(codes: NDArray[np.uint8]) -> Picture:
    palette = np.zeros((256, 3), np.uint8)
    for entry in LEGEND:
        palette[int(entry.code)] = _rgb(entry.colour)
    palette[int(Code.NO_DATA)] = _GREY
    return palette[codes]


def _label_colours(given: NDArray[np.uint8]) -> Picture:
    """Draw a label as the first class that it allows; of clouds of unknown kind, as thick cloud."""
    palette = np.full((256, 3), _GREY, np.uint8)
    order = (
        Code.CLEAR,
        Code.WATER,
        Code.SNOW,
        Code.CLOUD_SHADOW,
        Code.THICK_CLOUD,
        Code.THIN_CLOUD,
    )
    colours = {entry.code: _rgb(entry.colour) for entry in LEGEND}
    for label in range(2, 256):
        code = next((code for code in order if label & 1 << code), None)
        if code is not None:
            palette[label] = colours[code]
    return palette[given]


def _difference(truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> Picture:
    """Draw where a first scheme's second group is in both, in one or in neither."""
    drawn = np.empty((*truth.shape, 3), np.uint8)
    drawn[:] = _GREY
    known = (truth != DOUBTFUL) & (predicted != DOUBTFUL)
    for there, colour in zip((0, 1), (AGREE[0][0], AGREE[1][0]), strict=True):
        drawn[known & (truth == there) & (predicted == there)] = _rgb(colour)
    drawn[known & (truth == 0) & (predicted == 1)] = _rgb(DIFFER[0][0])
    drawn[known & (truth == 1) & (predicted == 0)] = _rgb(DIFFER[1][0])
    return drawn


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue


def _thin(picture: NDArray[Any]) -> NDArray[Any]:
    step = -(-max(picture.shape[:2]) // MAX_PX)
    return picture[step // 2 :: step, step // 2 :: step]


def _uri(picture: Picture, kind: str) -> str:
    out = io.BytesIO()
    settings: dict[str, Any] = {"quality": 86} if kind == "JPEG" else {"optimize": True}
    Image.fromarray(np.ascontiguousarray(picture)).save(out, kind, **settings)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(out.getvalue()).decode()}"
