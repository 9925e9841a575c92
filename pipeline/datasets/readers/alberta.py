"""Shadows painted by hand on Sentinel-2 images of one area in Alberta."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from pipeline.datasets import labels
from pipeline.datasets.files import Array, chosen, geobox_of, need, opened, some
from pipeline.datasets.labels import DatasetCard, Labelled, malformed, recoded

BANDS = ("B02_8bit", "B03_8bit", "B04_8bit", "B08", "CLP", "CLD", "SCL", "shadow")
SCALES = (1 / 637.5, 1 / 637.5, 1 / 637.5, 1 / 65535)
"""Numbers to reflectance; the first three bands are clipped at 0.4."""
NOT_SHADOW = labels.CLEAR | labels.CLOUD
TABLE = {0: NOT_SHADOW, 1: labels.SHADOW, 99: labels.IGNORED}


class AlbertaShadows:
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
            "dates on which nothing was painted are left out",
        ),
    )

    def read(self, path: Path, roles: Collection[str] | None = None) -> Iterator[Labelled]:
        """Read the dates on which shadows were painted; see `pipeline.datasets.labels.Reader`."""
        root = need(path, self.card.layout)
        found = [each for each in root.glob("*.tif") if not each.stem.endswith("_angles")]
        for file in some(found, path, self.card.layout):
            image = self._date(file, chosen(self.card.roles, roles))
            if (image.labels != labels.IGNORED).any():
                yield image

    def _date(self, file: Path, wanted: tuple[str, ...]) -> Labelled:
        with opened(file, file) as raster:
            if tuple(raster.descriptions) != BANDS:
                raise malformed(file, f"its bands are {raster.descriptions}", ", ".join(BANDS))
            data: Array = raster.read()
            geobox = geobox_of(raster)
        rows = [self.card.roles.index(role) for role in wanted]
        scales = np.array(SCALES, np.float32)[rows, None, None]
        return Labelled(
            id=file.stem,
            labels=recoded(data[-1], TABLE, file),
            resolution_m=self.card.resolution_m,
            level=self.card.level,
            pixels=data[rows].astype(np.float32) * scales if wanted else None,
            roles=wanted,
            geobox=geobox,
        )
