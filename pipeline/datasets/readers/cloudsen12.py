"""CloudSEN12, first release: folders of GeoTIFFs (Aybar et al. 2022)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.datasets import labels
from pipeline.datasets.file_reader import FileReader, masked
from pipeline.datasets.files import read_band, read_bands, reflectance
from pipeline.datasets.labels import DatasetCard, Labelled, recoded

ROLES = (
    *("coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3"),
    *("nir", "nir08", "wvp", "cirrus", "swir16", "swir22"),
)
"""The 13 bands of Sentinel-2 L1C in the order of their files; ``wvp`` is B09."""

HIGH = {0: labels.CLEAR, 1: labels.THICK, 2: labels.THIN, 3: labels.SHADOW}
EDGE_PX = 509


class CloudSen12(FileReader):
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

    def files(self, root: Path) -> Iterable[Path]:
        """Return the folders of the images of ``high``."""
        return (folder for folder in root.glob("high/ROI_*/*") if folder.is_dir())

    def image(self, root: Path, file: Path, wanted: tuple[str, ...]) -> Labelled:  # noqa: ARG002
        """Read an image from its folder."""
        folder = file
        # The first band is always read: it shows where there is no image.
        bands = sorted({1, *(ROLES.index(role) + 1 for role in wanted)})
        shape = (EDGE_PX, EDGE_PX)
        raw, geobox = read_bands(folder / "S2L1C.tif", bands, count=len(ROLES), shape=shape)
        file = folder / "labels" / "manual_hq.tif"
        codes, _ = read_band(file, shape=shape)
        pixels = reflectance(raw, 1e-4)
        indices = [bands.index(ROLES.index(role) + 1) for role in wanted]
        return self.labelled(
            f"{folder.parent.name}/{folder.name}",
            masked(recoded(codes, HIGH, file), pixels),
            pixels=pixels[indices],
            roles=wanted,
            geobox=geobox,
        )
