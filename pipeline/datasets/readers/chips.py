"""Chips of Sentinel-2 with a human cloud label as their last band.

Cut from the Radiant Earth "Sentinel-2 Cloud Cover Segmentation Dataset".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from pipeline.datasets import labels
from pipeline.datasets.files import Array, chosen, geobox_of, need, opened, reflectance, some
from pipeline.datasets.labels import DatasetCard, Labelled, malformed, recoded

BANDS = ("B02", "B03", "B04", "B08", "cloud_label")
TABLE = {0: labels.NOT_CLOUD, 1: labels.CLOUD}


class Chips:
    """``chip_*.tif``: bands B02, B03, B04, B08 and cloud_label, by their descriptions."""

    card = DatasetCard(
        name="chips",
        title="Sentinel-2 L2A chips with human cloud labels",
        level="L2A",
        roles=("blue", "green", "red", "nir"),
        resolution_m=10.0,
        known=tuple(TABLE.values()),
        layout="<root>/chip_*.tif, or one such file",
        source="Radiant Earth, Sentinel-2 Cloud Cover Segmentation Dataset (CC-BY-4.0)",
        notes=(
            "shadows are not labelled: clear may be shadow",
            "labels of some chips are drawn generously round the clouds",
        ),
    )

    def read(self, path: Path, roles: Collection[str] | None = None) -> Iterator[Labelled]:
        """Read the chips; see `pipeline.datasets.labels.Reader`."""
        need(path, self.card.layout)
        files = [path] if path.is_file() else [*path.glob("chip_*.tif")]
        for file in some(files, path, self.card.layout):
            yield self._chip(file, roles)

    def _chip(self, file: Path, roles: Collection[str] | None) -> Labelled:
        wanted = chosen(self.card.roles, roles)
        with opened(file, file) as raster:
            if tuple(raster.descriptions) != BANDS:
                raise malformed(
                    file,
                    f"its bands are {raster.descriptions}",
                    f"the bands {', '.join(BANDS)}",
                )
            data: Array = raster.read()
            geobox, moment = geobox_of(raster), raster.tags().get("DATETIME")
        pixels = reflectance(data[:4], 1e-4)
        drawn = recoded(data[4], TABLE, file)
        drawn[np.isnan(pixels[0])] = labels.NO_DATA
        return Labelled(
            id=file.stem,
            labels=drawn,
            resolution_m=self.card.resolution_m,
            level=self.card.level,
            pixels=pixels[[self.card.roles.index(role) for role in wanted]] if wanted else None,
            roles=wanted,
            geobox=geobox,
            tags={} if moment is None else {"datetime": moment},
        )
