"""Chips of Sentinel-2 with a human cloud label as their last band.

Cut from the Radiant Earth "Sentinel-2 Cloud Cover Segmentation Dataset".
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.datasets import labels
from pipeline.datasets.file_reader import FileReader, masked
from pipeline.datasets.files import Array, open_raster, raster_geobox, reflectance
from pipeline.datasets.labels import DatasetCard, Labelled, malformed, recoded

BANDS = ("B02", "B03", "B04", "B08", "cloud_label")
TABLE = {0: labels.NOT_CLOUD, 1: labels.CLOUD}


class Chips(FileReader):
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

    def files(self, root: Path) -> Iterable[Path]:
        """Return the chips."""
        return [root] if root.is_file() else root.glob("chip_*.tif")

    def image(self, root: Path, file: Path, wanted: tuple[str, ...]) -> Labelled:  # noqa: ARG002
        """Read a chip; its bands must have the names of `BANDS`."""
        with open_raster(file, file) as raster:
            if tuple(raster.descriptions) != BANDS:
                raise malformed(
                    file,
                    f"its bands are {raster.descriptions}",
                    f"the bands {', '.join(BANDS)}",
                )
            data: Array = raster.read()
            geobox, moment = raster_geobox(raster), raster.tags().get("DATETIME")
        pixels = reflectance(data[:4], 1e-4)
        return self.labelled(
            file.stem,
            masked(recoded(data[4], TABLE, file), pixels),
            pixels=pixels[[self.card.roles.index(role) for role in wanted]],
            roles=wanted,
            geobox=geobox,
            tags={} if moment is None else {"datetime": moment},
        )
