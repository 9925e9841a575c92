"""CloudSEN12, first release: folders of GeoTIFFs (Aybar et al. 2022)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets import labels
from pipeline.datasets.files import chosen, need, read_band, read_bands, reflectance, some
from pipeline.datasets.labels import DatasetCard, Labelled, recoded

ROLES = (
    *("coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3"),
    *("nir", "nir08", "wvp", "cirrus", "swir16", "swir22"),
)
"""The 13 bands of Sentinel-2 L1C in the order of their files; ``wvp`` is B09."""

HIGH = {0: labels.CLEAR, 1: labels.THICK, 2: labels.THIN, 3: labels.SHADOW}
EDGE_PX = 509


def masked(drawn: NDArray[np.uint8], pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return labels that say no data where the image has none."""
    out = drawn.copy()
    if len(pixels):
        out[np.isnan(pixels[0])] = labels.NO_DATA
    return out


class CloudSen12:
    """``<root>/high/ROI_*/<Sentinel-2 id>/S2L1C.tif`` and ``labels/manual_hq.tif`` beside it."""

    card = DatasetCard(
        name="cloudsen12",
        title="CloudSEN12, high-quality labels",
        level="L1C",
        roles=ROLES,
        resolution_m=10.0,
        known=tuple(HIGH.values()),
        layout=(
            "<root>/high/ROI_<n>/<id>/S2L1C.tif (13 bands, int16 × 1e-4, 509 × 509) and "
            "<id>/labels/manual_hq.tif"
        ),
        source="Aybar et al. 2022, https://doi.org/10.1038/s41597-022-01878-2 (CC-BY-NC-4.0)",
        notes=("files do not say which images are the test split",),
    )

    def read(self, path: Path, roles: Collection[str] | None = None) -> Iterator[Labelled]:
        """Read the images of ``high``; see `pipeline.datasets.labels.Reader`."""
        root = need(path, self.card.layout)
        found = [folder for folder in root.glob("high/ROI_*/*") if folder.is_dir()]
        for folder in some(found, path, self.card.layout):
            yield self._image(folder, roles)

    def _image(self, folder: Path, roles: Collection[str] | None) -> Labelled:
        wanted = chosen(ROLES, roles)
        # The first band tells where there is no image, whatever is asked for.
        bands = sorted({1, *(ROLES.index(role) + 1 for role in wanted)})
        shape = (EDGE_PX, EDGE_PX)
        raw, geobox = read_bands(folder / "S2L1C.tif", bands, count=len(ROLES), shape=shape)
        file = folder / "labels" / "manual_hq.tif"
        codes, _ = read_band(file, shape=shape)
        pixels = reflectance(raw, 1e-4)
        kept = [bands.index(ROLES.index(role) + 1) for role in wanted]
        return Labelled(
            id=f"{folder.parent.name}/{folder.name}",
            labels=masked(recoded(codes, HIGH, file), pixels),
            resolution_m=self.card.resolution_m,
            level=self.card.level,
            pixels=pixels[kept] if kept else None,
            roles=wanted,
            geobox=geobox,
        )
