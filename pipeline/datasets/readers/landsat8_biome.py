"""Landsat 8 cloud cover assessment, by biome (Foga et al. 2017), as USGS and as torchgeo pack it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from pipeline.datasets import labels, landsat
from pipeline.datasets.file_reader import FileReader
from pipeline.datasets.files import Array, read_band, read_bands
from pipeline.datasets.labels import DatasetCard, Labelled, recoded

CODES = {
    0: labels.NO_DATA,
    64: labels.SHADOW,
    128: labels.CLEAR,
    192: labels.THIN,
    255: labels.THICK,
}
"""Labels of both generations of assessments; without any shadow, clear may be shadow."""


def label_table(codes: Array) -> dict[int, int]:
    """Return what codes mean in a scene: where no shadow was drawn, clear may be shadow."""
    return CODES if (codes == 64).any() else CODES | {128: labels.NOT_CLOUD}


class Landsat8Biome(FileReader):
    """``<id>_fixedmask.img`` or ``.TIF`` with ``<id>_B<n>.TIF`` or ``<id>.TIF`` beside it."""

    card = DatasetCard(
        name="l8biome",
        title="Landsat 8 Biome (cloud cover assessment)",
        level="L1C",
        roles=tuple(landsat.OLI_BANDS),
        resolution_m=30.0,
        known=tuple({*CODES.values(), labels.NOT_CLOUD} - {labels.NO_DATA}),
        layout=(
            "<root>/**/<id>/: <id>_B1.TIF … <id>_B11.TIF or one <id>.TIF of 11 bands; <id>_MTL.txt; "
            "<id>_fixedmask.img (ENVI) or <id>_fixedmask.TIF"
        ),
        source="Foga et al. 2017, https://doi.org/10.1016/j.rse.2017.03.026 (public domain)",
        notes=("scenes without shadow labels: clear may be shadow",),
    )

    def files(self, root: Path) -> Iterable[Path]:
        """Return the masks."""
        return [*root.rglob("*_fixedmask.img"), *root.rglob("*_fixedmask.TIF")]

    def image(self, root: Path, file: Path, wanted: tuple[str, ...]) -> Labelled:  # noqa: ARG002
        """Read a scene."""
        mask = file
        scene = mask.name.rpartition("_fixedmask")[0]
        codes, geobox = read_band(mask)
        pixels = [_band(mask.parent, scene, landsat.OLI_BANDS[role], codes) for role in wanted]
        drawn = recoded(codes, label_table(codes), mask)
        found = [place for _, place in pixels if place is not None]
        return self.labelled(
            scene,
            drawn,
            pixels=np.stack([values for values, _ in pixels]) if pixels else None,
            roles=wanted,
            geobox=found[0] if found else geobox,
            tags={"biome": mask.parent.parent.name},
        )


def _band(folder: Path, scene: str, band: int, codes: Array) -> tuple[Array, GeoBox | None]:
    """Return the reflectance of a band and where it lies."""
    mtl_file = folder / f"{scene}_MTL.txt"
    mtl = landsat.read_mtl(mtl_file)
    whole = folder / f"{scene}.TIF"
    if whole.is_file():
        raw, geobox = read_bands(whole, [band], count=11, shape=codes.shape)
        single = raw[0]
    else:
        single, geobox = read_band(folder / f"{scene}_B{band}.TIF", shape=codes.shape)
    return landsat.oli_reflectance(single, band, mtl, mtl_file), geobox
