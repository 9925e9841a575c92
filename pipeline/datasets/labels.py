"""What people drew on images: sets of the classes that a pixel may be, and the images they drew on.

Data sets distinguish different classes: "clear" of one is land, water or snow of another, and a set
without shadow labels calls shadows clear. A label is therefore a set of `Code`, as in the table of
partial labels of Francis (2024, "SEnSeI-v2"), stored as the bits of a uint8: bit *n* is `Code` *n*.
A prediction is scored only where the set leaves no doubt (`pipeline.evaluate.schemes`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline.errors import LabelledDataError
from pipeline.types import Code


def malformed(path: Path, found: str, expected: str) -> LabelledDataError:
    """Return the error that names a file, what is wrong with it, and what it should be."""
    return LabelledDataError(f"{path}: {found}; expected {expected}")


def allow(*codes: Code) -> int:
    """Return the label that allows some classes: bit *n* is `Code` *n*."""
    label = 0
    for code in codes:
        label |= 1 << int(code)
    return label


IGNORED = 0
"""Nothing is allowed: the label is missing or undefined, and the pixel is not counted."""

NO_DATA = allow(Code.NO_DATA)
"""There is no image: the pixel is not counted."""

LAND = allow(Code.CLEAR)
WATER = allow(Code.WATER)
SNOW = allow(Code.SNOW)
FLOODED = LAND | WATER
CLEAR = LAND | WATER | SNOW
"""Clear ground of any kind."""
THIN = allow(Code.THIN_CLOUD)
THICK = allow(Code.THICK_CLOUD)
CLOUD = THIN | THICK
"""Cloud of unknown kind."""
SHADOW = allow(Code.CLOUD_SHADOW)
NOT_CLOUD = CLEAR | SHADOW
"""Of data sets without shadow labels: clear ground or shadow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """An image, or points of one, and what people say it shows."""

    id: str
    """Unique in its data set."""
    labels: NDArray[np.uint8]
    """(y, x) labels, or (N,) where `points` are given: sets of allowed classes, see `allow`."""
    resolution_m: float
    """Edge of a pixel of the labels."""
    level: str
    """Processing level of the pixels: ``L1C`` (top of atmosphere) or ``L2A`` (surface)."""
    pixels: NDArray[np.float32] | None = None
    """(band, y, x) reflectance of `roles`, NaN = no data; None: the data set has labels only."""
    roles: tuple[str, ...] = ()
    points: NDArray[np.int64] | None = None
    """(N, 2) y and x, in pixels of the scene from its upper left, of labels that are single points."""
    geobox: GeoBox | None = None
    """Geobox; None if the files have none."""
    split: str | None = None
    """Part of the data set as its authors divided it, e.g. ``test``."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What else the files say of the scene."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCard:
    """Description of a labelled data set."""

    name: str
    title: str
    level: str
    roles: tuple[str, ...]
    """Bands that its images may have; empty: it has labels only."""
    resolution_m: float
    """Edge of a pixel of the labels."""
    known: tuple[int, ...]
    """Labels that its files may hold; see `allow`."""
    layout: str
    """Files that are expected, in words."""
    source: str
    notes: tuple[str, ...] = ()
    """What makes scores on it too high or too low."""


class Reader(Protocol):
    """One data set's layout on disc."""

    @property
    def card(self) -> DatasetCard:
        """The data set's card."""
        ...

    def read(self, path: Path, roles: Collection[str] | None = None) -> Iterator[Labelled]:
        """Read the images one by one, in the order of their ids.

        Parameters
        ----------
        path
            Root folder or file of the data set.
        roles
            Bands to read, where more are there; none: all. Empty: labels alone.

        Raises
        ------
        LabelledDataError
            A file is missing or is not what the layout says. The message names it.
        """
        ...


def recoded(
    raw: NDArray[np.generic], table: Mapping[int, int], path: Path
) -> NDArray[np.uint8]:
    """Translate a data set's codes into labels.

    Parameters
    ----------
    raw
        The data set's codes, any shape; whole numbers.
    table
        Code -> label.
    path
        File they come from.

    Raises
    ------
    LabelledDataError
        There is a code that the table does not know.
    """
    found, inverse = np.unique(raw, return_inverse=True)
    unknown = [each for each in found.tolist() if each not in table]
    if unknown:
        shown = ", ".join(f"{each:g}" for each in unknown[:5])
        raise malformed(path, f"unknown label codes {shown}", f"only {sorted(table)}")
    translated = np.array([table[int(each)] for each in found.tolist()], dtype=np.uint8)
    return translated[inverse].reshape(raw.shape)
