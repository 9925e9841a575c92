"""CESBIO's reference masks made with ALCD (Baetens, Desjardins, Hagolle 2019): labels alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from pipeline.datasets import labels
from pipeline.datasets.files import need, read_band, read_json, some
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


class Cesbio:
    """``<scene>/…/classification_map.tif`` and ``used_parameters.json``; the images come apart."""

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

    def read(self, path: Path, roles: Collection[str] | None = None) -> Iterator[Labelled]:
        """Read the label maps; see `pipeline.datasets.labels.Reader`."""
        del roles
        root = need(path, self.card.layout)
        found = [*root.rglob("classification_map.tif")]
        for file in some(found, path, self.card.layout):
            yield self._scene(root, file)

    def _scene(self, root: Path, file: Path) -> Labelled:
        folder = root / file.relative_to(root).parts[0]
        found = sorted(folder.rglob("used_parameters.json"))
        if not found:
            raise malformed(folder, "there is no used_parameters.json in it", self.card.layout)
        parameters = read_json(found[0], "the parameters of the scene")
        if "cloudy_product_name" not in parameters:
            raise malformed(found[0], "it has no cloudy_product_name", "the scene's product")
        codes, geobox = read_band(file)
        return Labelled(
            id=folder.name,
            labels=recoded(codes, TABLE, file),
            resolution_m=self.card.resolution_m,
            level=self.card.level,
            geobox=geobox,
            tags={"product": str(parameters["cloudy_product_name"])},
        )
