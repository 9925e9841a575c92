"""Chips of Sentinel-2 that nobody has labelled: a teacher's opinion may be learnt from them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipeline.datasets import labels
from pipeline.datasets.file_reader import FileReader, masked
from pipeline.datasets.files import Array, open_raster, reflectance
from pipeline.datasets.labels import DatasetCard, Labelled, malformed


class Unlabelled(FileReader):
    """``<id>.tif``: B02, B03, B04 and B08, in this order."""

    card = DatasetCard(
        name="unlabelled-chips",
        title="Sentinel-2 L2A chips without labels",
        level="L2A",
        roles=("blue", "green", "red", "nir"),
        resolution_m=10.0,
        known=(labels.IGNORED,),
        layout="<root>/<id>.tif of four bands",
        source="Radiant Earth, Sentinel-2 Cloud Cover Segmentation Dataset (CC-BY-4.0)",
        notes=("nothing is labelled: for training with a teacher",),
    )

    def files(self, root: Path) -> Iterable[Path]:
        """Return the chips."""
        return root.glob("*.tif")

    def image(self, root: Path, file: Path, wanted: tuple[str, ...]) -> Labelled:  # noqa: ARG002
        """Read a chip."""
        with open_raster(file, file) as raster:
            if raster.count != len(self.card.roles):
                raise malformed(file, f"it has {raster.count} bands", "B02, B03, B04, B08")
            data: Array = raster.read()
        pixels = reflectance(data, 1e-4)
        return self.labelled(
            file.stem,
            masked(np.full(data.shape[1:], labels.IGNORED, np.uint8), pixels),
            pixels=pixels[[self.card.roles.index(role) for role in wanted]],
            roles=wanted,
        )
