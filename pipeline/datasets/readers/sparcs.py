"""SPARCS: 80 sub-scenes of Landsat 8 (Hughes & Hayes 2014, USGS)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pipeline.datasets import labels, landsat
from pipeline.datasets.file_reader import FileReader, masked
from pipeline.datasets.files import check_shape, need, read_band, read_bands, reflectance
from pipeline.datasets.labels import DatasetCard, Labelled, malformed, recoded

POSITIONS = {
    "coastal": 1,
    "blue": 2,
    "green": 3,
    "red": 4,
    "nir": 5,
    "nir08": 5,
    "swir16": 6,
    "swir22": 7,
    "cirrus": 8,
}
"""Band of the file, which holds B1 to B7, B9, B10, B11."""
TABLE = {
    0: labels.SHADOW,
    1: labels.SHADOW,
    2: labels.WATER,
    3: labels.SNOW,
    4: labels.LAND,
    5: labels.CLOUD,
    6: labels.FLOODED,
}
"""0 shadow, 1 shadow over water, 2 water, 3 snow or ice, 4 land, 5 cloud, 6 flooded."""
COLOURS = (0x000000, 0x000080, 0x0000FF, 0x00FFFF, 0x808080, 0xFFFFFF, 0x808000)
"""0xRRGGBB of the codes 0 to 6 in ``_mask.png``."""
EDGE_PX = 1000


class Sparcs(FileReader):
    """``<id>_data.tif``, ``<id>_mtl.txt`` and ``<id>_labels.tif`` or ``<id>_mask.png``."""

    card = DatasetCard(
        name="sparcs",
        title="SPARCS",
        level="L1C",
        roles=tuple(POSITIONS),
        resolution_m=30.0,
        known=tuple({*TABLE.values()}),
        layout=(
            "<root>/**/<id>_data.tif (10 bands, 1000 × 1000), <id>_mtl.txt, and <id>_labels.tif "
            "(0 to 6) or <id>_mask.png (colours)"
        ),
        source="Hughes & Hayes 2014, https://doi.org/10.5066/F7FB5146 (public domain)",
        notes=("the order of codes 4 to 6 is not in its readme: taken from the colours",),
    )

    def files(self, root: Path) -> Iterable[Path]:
        """Return the sub-scenes."""
        return root.rglob("*_data.tif")

    def image(self, root: Path, file: Path, wanted: tuple[str, ...]) -> Labelled:  # noqa: ARG002
        """Read a sub-scene."""
        scene = file.name.removesuffix("_data.tif")
        shape = (EDGE_PX, EDGE_PX)
        positions = sorted({1, *(POSITIONS[role] for role in wanted)})
        raw, geobox = read_bands(file, positions, count=10, shape=shape)
        mtl_file = file.with_name(f"{scene}_mtl.txt")
        mtl = landsat.read_mtl(mtl_file)
        sine = landsat.sine_of_sun(mtl, mtl_file)
        pixels = reflectance(raw, 2e-5 / sine, -0.1 / sine)
        drawn = _drawn(
            file.with_name(f"{scene}_labels.tif"), file.with_name(f"{scene}_mask.png")
        )
        indices = [positions.index(POSITIONS[role]) for role in wanted]
        return self.labelled(
            scene, masked(drawn, pixels), pixels=pixels[indices], roles=wanted, geobox=geobox
        )


def _drawn(codes: Path, picture: Path) -> NDArray[np.uint8]:
    if codes.is_file():
        raw, _ = read_band(codes, shape=(EDGE_PX, EDGE_PX))
        return recoded(raw, TABLE, codes)
    need(picture, f"the labels, here or in {codes.name}")
    try:
        with Image.open(picture) as image:
            rgb = np.asarray(image.convert("RGB"), np.int64)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise malformed(picture, f"it cannot be read ({error})", "a PNG") from None
    check_shape(picture, rgb.shape, (EDGE_PX, EDGE_PX, 3))
    colours = (rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2]
    unknown = sorted({*np.unique(colours).tolist()} - {*COLOURS})
    if unknown:
        shown = ", ".join(f"#{colour:06X}" for colour in unknown[:5])
        raise malformed(picture, f"unknown label colours {shown}", "the seven of SPARCS")
    return recoded(colours, {c: TABLE[i] for i, c in enumerate(COLOURS)}, picture)
