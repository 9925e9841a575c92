"""CESBIO's reference masks made with ALCD (Baetens, Desjardins, Hagolle 2019): labels alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.datasets import labels
from pipeline.datasets.file_reader import FileReader
from pipeline.datasets.files import read_band, read_json
from pipeline.datasets.labels import DatasetCard, Labelled, malformed, recoded

TABLE = {
    0: labels.NO_DATA,
    1: labels.IGNORED,
    2: labels.CLOUD,
    3: labels.CLOUD,
    4: labels.SHADOW,
    5: labels.LAND,
    6: labels.WATER,
    7: labels.SNOW,
}
"""2 and 3 are low and high clouds."""


class Cesbio(FileReader):
    """``<scene>/…/classification_map.tif`` and ``used_parameters.json``; the images are not part of it."""

    card = DatasetCard(
        name="cesbio",
        title="CESBIO reference cloud masks (ALCD)",
        level="L1C",
        roles=(),
        resolution_m=60.0,
        known=(labels.CLOUD, labels.SHADOW, labels.LAND, labels.WATER, labels.SNOW),
        layout="<root>/<scene>/**/classification_map.tif (60 m, 0 to 7) and <scene>/**/used_parameters.json",
        source="Baetens, Desjardins, Hagolle 2019, https://doi.org/10.5281/zenodo.1460961",
        notes=("images are not part of it: give masks of them",),
    )

    def files(self, root: Path) -> Iterable[Path]:
        """Return the label maps."""
        return root.rglob("classification_map.tif")

    def image(self, root: Path, file: Path, wanted: tuple[str, ...]) -> Labelled:  # noqa: ARG002
        """Read a label map, and the name of its product."""
        folder = root / file.relative_to(root).parts[0]
        found = sorted(folder.rglob("used_parameters.json"))
        if not found:
            raise malformed(folder, "there is no used_parameters.json in it", self.card.layout)
        parameters = read_json(found[0], "the parameters of the scene")
        if "cloudy_product_name" not in parameters:
            raise malformed(found[0], "it has no cloudy_product_name", "the scene's product")
        codes, geobox = read_band(file)
        return self.labelled(
            folder.name,
            recoded(codes, TABLE, file),
            geobox=geobox,
            tags={"product": str(parameters["cloudy_product_name"])},
        )
