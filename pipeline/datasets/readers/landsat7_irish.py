"""Landsat 7 cloud cover assessment (Irish et al. 2006; Scaramuzza et al. 2012), masks of 2015 and 2019."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets import labels, landsat
from pipeline.datasets.file_reader import FileReader
from pipeline.datasets.files import Array, first_match, read_band, read_bands, some
from pipeline.datasets.labels import DatasetCard, Labelled, recoded
from pipeline.datasets.readers.landsat8_biome import CODES, label_table

POSITIONS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 7: 8}
"""Band of a file that holds B10, B20, B30, B40, B50, B61, B62, B70, B80."""

NO_SHADOW_2019 = {
    0: labels.NO_DATA,
    128: labels.NOT_CLOUD,
    192: labels.THIN,
    255: labels.THICK,
}
"""2019, where the upper left pixel is 0."""
SHADOW_2019 = {0: labels.SHADOW, 128: labels.THICK, 192: labels.THIN, 255: labels.CLEAR}
"""2019, elsewhere: 255 is clear where there is data, and fill where there is none."""


def meaning(mask: Path, codes: Array) -> dict[int, int]:
    """Return what the codes of a mask mean: three encodings look alike."""
    if "newmask2015" in mask.name:
        return label_table(codes)
    return NO_SHADOW_2019 if codes[0, 0] == 0 else SHADOW_2019


class Landsat7Irish(FileReader):
    """``*mask2019.TIF`` or ``L7_p*_r*_newmask2015.TIF`` with the scene's bands beside it."""

    card = DatasetCard(
        name="l7irish",
        title="Landsat 7 Irish (cloud cover assessment)",
        level="L1C",
        roles=tuple(landsat.ETM_BANDS),
        resolution_m=30.0,
        known=tuple({*CODES.values(), labels.NOT_CLOUD} - {labels.NO_DATA}),
        layout=(
            "<root>/**/: L7*_B10.TIF … L7*_B80.TIF or one L7*.TIF of 9 bands; *_MTL.txt; "
            "*mask2019.TIF or L7_p*_r*_newmask2015.TIF"
        ),
        source="Scaramuzza et al. 2012, https://doi.org/10.1109/TGRS.2011.2164087 (public domain)",
        notes=(
            "scenes without shadow labels: clear may be shadow",
            "the masks of 2019 use two encodings, which their first pixel shows",
        ),
    )

    def files(self, root: Path) -> Iterable[Path]:
        """Return the masks: of a scene that has both, the newer."""
        found = [*root.rglob("*mask2019.TIF"), *root.rglob("L7_p*_r*_newmask2015.TIF")]
        return {mask.parent: mask for mask in reversed(found)}.values()

    def image(self, root: Path, file: Path, wanted: tuple[str, ...]) -> Labelled:  # noqa: ARG002
        """Read a scene."""
        mask, folder = file, file.parent
        codes, geobox = read_band(mask)
        drawn = recoded(codes, meaning(mask, codes), mask)
        # The mask alone does not show where the image has no data.
        drawn[_raw(folder, 1, codes) == 0] = labels.NO_DATA
        bands = [_band(folder, role, codes) for role in wanted]
        return self.labelled(
            folder.name,
            drawn,
            pixels=np.stack(bands) if bands else None,
            roles=wanted,
            geobox=geobox,
            tags={"zone": folder.parent.name, "mask": mask.name},
        )


def _band(folder: Path, role: str, codes: Array) -> NDArray[np.float32]:
    mtl_file = first_match(folder, ["*_MTL.txt"], "the scene's metadata")
    band = landsat.ETM_BANDS[role]
    raw = _raw(folder, band, codes)
    return landsat.etm_reflectance(raw, band, landsat.read_mtl(mtl_file), mtl_file)


def _raw(folder: Path, band: int, codes: Array) -> Array:
    apart = sorted(folder.glob(f"L7*_B{band}0.TIF"))
    if apart:
        return read_band(apart[0], shape=codes.shape)[0]
    whole = [
        file
        for file in sorted(folder.glob("L7*.TIF"))
        if "mask" not in file.name and "_B" not in file.name
    ]
    expected = f"L7*_B{band}0.TIF, or one L7*.TIF of 9 bands"
    file = some(whole, folder / f"L7*_B{band}0.TIF", expected)[0]
    raw, _ = read_bands(file, [POSITIONS[band]], count=9, shape=codes.shape)
    single: Array = raw[0]
    return single
