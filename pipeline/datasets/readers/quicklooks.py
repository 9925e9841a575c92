"""Quick looks of the Sentinel-2 Cloud Mask Catalogue: pictures of 8 bits beside the human mask."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipeline.datasets import labels
from pipeline.datasets.file_reader import FileReader
from pipeline.datasets.files import Array, open_raster
from pipeline.datasets.labels import DatasetCard, Labelled, malformed, recoded

BANDS = ("blue", "green", "red", "label")
TABLE = {0: labels.NOT_CLOUD, 1: labels.CLOUD}
BRIGHTEST = 0.5
"""Reflectance that 255 is taken for: a picture has no scale, and this one leaves fields and forests plausible."""


class Quicklooks(FileReader):
    """``<id>.tif``: blue, green, red of 8 bits and the label, by their descriptions."""

    card = DatasetCard(
        name="quicklooks",
        title="Quick looks of the Sentinel-2 Cloud Mask Catalogue",
        level="L1C",
        roles=BANDS[:-1],
        resolution_m=40.0,
        known=tuple(TABLE.values()),
        layout="<root>/<id>.tif of the bands blue, green, red, label",
        source="Francis et al. 2020, https://doi.org/10.5281/zenodo.4172871 (CC-BY-4.0)",
        notes=(
            "pictures, not reflectance: good for shapes and colours alone",
            "shadows are not labelled: clear may be shadow",
        ),
    )

    def files(self, root: Path) -> Iterable[Path]:
        """Return the pictures."""
        return root.glob("*.tif")

    def image(self, root: Path, file: Path, wanted: tuple[str, ...]) -> Labelled:  # noqa: ARG002
        """Read a picture; its bands must have the names of `BANDS`."""
        with open_raster(file, file) as raster:
            if tuple(raster.descriptions) != BANDS:
                raise malformed(file, f"its bands are {raster.descriptions}", ", ".join(BANDS))
            data: Array = raster.read()
        rows = [BANDS.index(role) for role in wanted]
        return self.labelled(
            file.stem,
            recoded(data[-1], TABLE, file),
            pixels=data[rows].astype(np.float32) * np.float32(BRIGHTEST / 255),
            roles=wanted,
        )
