"""Shadows painted by hand on Sentinel-2 images of one area in Alberta."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipeline.datasets import labels
from pipeline.datasets.file_reader import FileReader
from pipeline.datasets.files import Array, open_raster, raster_geobox
from pipeline.datasets.labels import DatasetCard, Labelled, malformed, recoded

BANDS = ("B02_8bit", "B03_8bit", "B04_8bit", "B08", "CLP", "CLD", "SCL", "shadow")
SCALES = (1 / 637.5, 1 / 637.5, 1 / 637.5, 1 / 65535)
"""Numbers to reflectance; the first three bands are clipped at 0.4."""
NOT_SHADOW = labels.CLEAR | labels.CLOUD
TABLE = {0: NOT_SHADOW, 1: labels.SHADOW, 99: labels.IGNORED}


class AlbertaShadows(FileReader):
    """``<date>.tif``: four bands, others' masks, and the painted shadow."""

    card = DatasetCard(
        name="alberta",
        title="Hand-painted cloud shadows on Sentinel-2, Alberta",
        level="L2A",
        roles=("blue", "green", "red", "nir"),
        resolution_m=29.0,
        known=(NOT_SHADOW, labels.SHADOW),
        layout="<root>/<date>.tif of 8 bands",
        source="github.com/JeffreyLayton/Cloud-Shadow-Detection-Result-Generation (MIT); contains "
        "modified Copernicus Sentinel data",
        notes=(
            "clouds are not labelled: what is not shadow may be clear or cloud",
            "blue, green and red are clipped at a reflectance of 0.4",
            "on three of six dates nothing was painted: they count nowhere",
        ),
    )

    def files(self, root: Path) -> Iterable[Path]:
        """Return the dates."""
        return [each for each in root.glob("*.tif") if not each.stem.endswith("_angles")]

    def image(self, root: Path, file: Path, wanted: tuple[str, ...]) -> Labelled:  # noqa: ARG002
        """Read a date; its bands must have the names of `BANDS`."""
        with open_raster(file, file) as raster:
            if tuple(raster.descriptions) != BANDS:
                raise malformed(file, f"its bands are {raster.descriptions}", ", ".join(BANDS))
            data: Array = raster.read()
            geobox = raster_geobox(raster)
        rows = [self.card.roles.index(role) for role in wanted]
        scales = np.array(SCALES, np.float32)[rows, None, None]
        return self.labelled(
            file.stem,
            recoded(data[-1], TABLE, file),
            pixels=data[rows].astype(np.float32) * scales,
            roles=wanted,
            geobox=geobox,
        )
