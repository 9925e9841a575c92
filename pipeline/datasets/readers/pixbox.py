"""PixBox: points that experts labelled on whole scenes (Brockmann Consult), as used in CMIX."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.datasets import labels
from pipeline.datasets.file_reader import DatasetReader
from pipeline.datasets.files import need
from pipeline.datasets.labels import DatasetCard, Labelled, malformed

Row = Mapping[str, str]

S2_CLOUD = frozenset({2, 3, 4, 5, 6, 8, 9, 10, 11, 12})
S2_THIN = frozenset({3, 4, 5, 6, 9, 10, 11})
"""Semi-transparent clouds, contrails, fog and haze."""
S2_NOT_CLOUD = frozenset({0, 1, 7})
S2_SHADOW = 3
L8_CLOUD = frozenset({0, 1})
L8_NOT_CLOUD = frozenset({2, 3, 4, 5, 6, 7, 11, 12})
L8_OPEN = frozenset({8, 9, 10, 13})
"""Spatially mixed with cloud, and other: neither cloud nor clear, so they are ignored."""
L8_SHADOW = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Points:
    """One product's points."""

    y: list[int]
    x: list[int]
    labels: list[int]


class PixBox(DatasetReader):
    """One CSV of points, ``,`` or ``;``; the scenes are not part of it.

    A point that is cloud **and** shadow counts as cloud: targets are exclusive. OmniCloudMask's
    script lets such points be both, so that its classes add up to more than the points.
    """

    def __init__(self, sensor: str) -> None:
        self._sentinel = sensor == "s2"
        name = "Sentinel-2" if self._sentinel else "Landsat 8"
        file = (
            "pixbox_sentinel2_cmix_20180425.csv"
            if self._sentinel
            else "pixbox_landsat8_cmix_20150527.csv"
        )
        self._file = file
        self._keys = (
            ("CLOUD_CHARACTERISTICS_ID", "SHADOW_ID")
            if self._sentinel
            else ("PIXEL_SURFACE_TYPE_ID", "CLOUD_SHADOW_ID")
        )
        self.card = DatasetCard(
            name=f"pixbox-{sensor}",
            title=f"PixBox {name} (CMIX)",
            level="L1C",
            roles=(),
            resolution_m=10.0 if self._sentinel else 30.0,
            # Not all points say thin or thick, on Landsat none does.
            known=(
                *(labels.CLEAR, labels.CLOUD, labels.SHADOW),
                *((labels.THIN, labels.THICK) if self._sentinel else ()),
            ),
            layout=f"{file}, or a folder with it",
            source="Paperin et al. 2021, https://doi.org/10.5281/zenodo.5036991 and 5040271",
            notes=(
                "targets are exclusive: a point that is cloud and shadow counts as cloud",
                "images are not part of it: give masks named by PRODUCT_ID",
            ),
        )

    def read(self, path: Path, roles: Collection[str] | None = None) -> Iterator[Labelled]:
        """Read the points, product by product; see `pipeline.datasets.labels.Reader`."""
        del roles
        file = need(path, self.card.layout)
        file = need(file / self._file, self.card.layout) if file.is_dir() else file
        for product, points in sorted(self._products(file).items()):
            yield self.labelled(
                product,
                np.array(points.labels, np.uint8),
                points=np.stack([points.y, points.x], axis=1).astype(np.int64),
            )

    def _products(self, file: Path) -> dict[str, _Points]:
        products: dict[str, _Points] = {}
        for number, row in enumerate(self._rows(file), start=2):
            points = products.setdefault(row["PRODUCT_ID"], _Points(y=[], x=[], labels=[]))
            # Coordinates are of the pixel's centre in some releases: x.5.
            points.y.append(int(_number(file, number, row, "PIXEL_Y")))
            points.x.append(int(_number(file, number, row, "PIXEL_X")))
            points.labels.append(self._label(file, number, row))
        if not products:
            raise malformed(file, "it has no points", self.card.layout)
        return products

    def _rows(self, file: Path) -> list[Row]:
        wanted = ("PRODUCT_ID", "PIXEL_X", "PIXEL_Y", *self._keys)
        try:
            with file.open(newline="", encoding="utf-8-sig") as text:
                delimiter = ";" if ";" in text.readline() else ","
                text.seek(0)
                rows = csv.DictReader(text, delimiter=delimiter)
                lacking = [key for key in wanted if key not in (rows.fieldnames or ())]
                if lacking:
                    raise malformed(file, f"it has no {', '.join(lacking)}", "these columns")
                return list(rows)
        except (UnicodeDecodeError, csv.Error) as error:
            raise malformed(file, f"it cannot be read ({error})", "a CSV file") from None

    def _label(self, file: Path, number: int, row: Row) -> int:
        kind, shadow = (int(_number(file, number, row, key)) for key in self._keys)
        if not self._sentinel:
            known, label = L8_CLOUD | L8_NOT_CLOUD | L8_OPEN, _landsat8(kind, shadow)
        else:
            known, label = S2_CLOUD | S2_NOT_CLOUD, _sentinel2(kind, shadow)
        if kind not in known:
            raise malformed(
                file, f"line {number}: {self._keys[0]} is {kind}", f"0 to {max(known)}"
            )
        return label


def _sentinel2(kind: int, shadow: int) -> int:
    if kind in S2_CLOUD:
        # Mixed pixels and cloud borders are cloud of no certain thickness.
        return labels.THIN if kind in S2_THIN else labels.THICK if kind == 2 else labels.CLOUD
    return labels.SHADOW if shadow == S2_SHADOW else labels.CLEAR


def _landsat8(kind: int, shadow: int) -> int:
    if kind in L8_OPEN:
        return labels.IGNORED
    if kind in L8_CLOUD:
        return labels.CLOUD
    return labels.SHADOW if shadow == L8_SHADOW else labels.CLEAR


def _number(file: Path, number: int, row: Row, key: str) -> float:
    # A line that was cut off has no value at all.
    text = row.get(key) or ""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if value < 0:
        raise malformed(file, f"line {number}: {key} is {text!r}", "a number from 0")
    return value
