"""Patches of Landsat 8 Biome with their labels, as studies of networks pass them on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.datasets import labels
from pipeline.datasets.file_reader import FileReader
from pipeline.datasets.files import Array, open_raster, read_band, reflectance
from pipeline.datasets.labels import DatasetCard, Labelled, malformed, recoded
from pipeline.datasets.readers.landsat8_biome import CODES

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22", "cirrus", "tir11")
SHADOWS_DRAWN = ("Forest_00", "Forest_01", "Forest_05", "Forest_08", "GrassCrops_02")
"""Scenes in which shadows are labelled; in the others clear may be shadow."""


class BiomePatches(FileReader):
    """``<scene>_<patch>.tif`` with ``<scene>_<patch>_label.tif`` beside it."""

    card = DatasetCard(
        name="biome-patches",
        title="Patches of Landsat 8 Biome",
        level="L1C",
        roles=BANDS[:-1],
        resolution_m=30.0,
        known=tuple({*CODES.values(), labels.NOT_CLOUD} - {labels.NO_DATA}),
        layout="<root>/<scene>_<patch>.tif of 8 bands, <scene>_<patch>_label.tif",
        source="Foga et al. 2017, https://doi.org/10.1016/j.rse.2017.03.026 (public domain); patches of "
        "github.com/LK-Peng/CNN-based-Cloud-Detection-Methods (MIT)",
        notes=(f"shadows are labelled in {', '.join(SHADOWS_DRAWN)} alone",),
    )

    def files(self, root: Path) -> Iterable[Path]:
        """Return the files of labels."""
        return root.glob("*_label.tif")

    def image(self, root: Path, file: Path, wanted: tuple[str, ...]) -> Labelled:  # noqa: ARG002
        """Read a patch; its bands must have the names of `BANDS`."""
        name = file.stem.removesuffix("_label")
        codes, _ = read_band(file)
        image = file.with_name(f"{name}.tif")
        with open_raster(image, image) as raster:
            if tuple(raster.descriptions) != BANDS or raster.shape != codes.shape:
                raise malformed(
                    image,
                    f"it is {raster.shape} of {raster.descriptions}",
                    f"{codes.shape} of {', '.join(BANDS)}",
                )
            data: Array = raster.read()
        scene = name.rpartition("_")[0]
        table = CODES if scene in SHADOWS_DRAWN else CODES | {128: labels.NOT_CLOUD}
        return self.labelled(
            name,
            recoded(codes, table, file),
            pixels=reflectance(data[[BANDS.index(role) for role in wanted]], 1e-4),
            roles=wanted,
            tags={"scene": scene},
        )
