"""CloudSEN12+ in its TACO files (Aybar et al. 2024), already on this machine."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pipeline.datasets import labels
from pipeline.datasets.file_reader import DatasetReader, masked
from pipeline.datasets.files import need, read_band, read_bands, reflectance, some
from pipeline.datasets.labels import DatasetCard, Labelled, malformed, recoded
from pipeline.datasets.readers.cloudsen12 import HIGH, ROLES
from pipeline.datasets.tortilla import ContainedFile, open_container
from pipeline.wording import counted

IGNORE = {99: labels.IGNORED}
SCRIBBLE = {
    0: labels.CLEAR,
    1: labels.THICK,
    2: labels.THICK,
    3: labels.THIN,
    4: labels.THIN,
    5: labels.SHADOW,
    6: labels.SHADOW,
}
"""Centre and border of each class are drawn apart."""
TABLES: Mapping[str, Mapping[int, int]] = {"high": HIGH | IGNORE, "scribble": SCRIBBLE | IGNORE}

STORED_PX = {509: 512, 2000: 2000}
"""Edge of an image -> edge that is stored, padded below and on the right."""


class CloudSen12Plus(DatasetReader):
    """``*.taco`` or ``*.tortilla``: each image a container of the image and its label.

    ``level`` is the product that was downloaded: ``l1c`` (13 bands) or ``l2a`` (the same without
    B10).
    """

    def __init__(self, level: str) -> None:
        short = level.lower()
        self._stored = ROLES if level == "L1C" else tuple(r for r in ROLES if r != "cirrus")
        self.card = DatasetCard(
            name=f"cloudsen12plus-{short}",
            title=f"CloudSEN12+, {level}, high-quality and scribble labels",
            level=level,
            roles=self._stored,
            resolution_m=10.0,
            known=tuple({*HIGH.values()}),
            layout=(
                "<root>/*.taco or *.tortilla, or one such file; each image holds (image, label); "
                "fields real_proj_shape, label_type, tortilla:data_split"
            ),
            source="Aybar et al. 2024, https://doi.org/10.1016/j.dib.2024.110852",
            notes=("images without labels (nolabel) are left out",),
        )

    def read(self, path: Path, roles: Collection[str] | None = None) -> Iterator[Labelled]:
        """Read the labelled images; see `pipeline.datasets.labels.Reader`."""
        need(path, self.card.layout)
        found = [path] if path.is_file() else [*path.glob("*.taco"), *path.glob("*.tortilla")]
        for file in some(found, path, self.card.layout):
            for image in sorted(open_container(file), key=lambda part: part.id):
                if image.row.get("label_type") != "nolabel":
                    yield self._image(image, roles)

    def _image(self, image: ContainedFile, roles: Collection[str] | None) -> Labelled:
        # What errors call it: the file and the image in it.
        name = image.container / image.id
        kind, edge = str(image.row.get("label_type")), image.row.get("real_proj_shape")
        if kind not in TABLES:
            raise malformed(name, f"label_type is {kind!r}", " or ".join(TABLES))
        if edge not in STORED_PX:
            raise malformed(name, f"real_proj_shape is {edge}", "509 or 2000")
        parts = image.parts()
        if len(parts) < 2:
            raise malformed(
                name, f"it holds {counted(len(parts), 'file')}", "an image and a label"
            )
        return self._opened(image, parts, roles, name)

    def _opened(
        self,
        image: ContainedFile,
        parts: list[ContainedFile],
        roles: Collection[str] | None,
        name: Path,
    ) -> Labelled:
        edge = int(image.row["real_proj_shape"])
        shape, real = (STORED_PX[edge], STORED_PX[edge]), slice(0, edge)
        wanted = self.chosen(roles)
        bands = sorted({1, *(self._stored.index(role) + 1 for role in wanted)})
        raw, geobox = read_bands(
            parts[0].gdal_path, bands, count=len(self._stored), shape=shape, name=name / "image"
        )
        codes, _ = read_band(parts[1].gdal_path, shape=shape, name=name / "label")
        pixels = reflectance(raw[:, real, real], 1e-4)
        table = TABLES[str(image.row["label_type"])]
        indices = [bands.index(self._stored.index(role) + 1) for role in wanted]
        return self.labelled(
            image.id,
            masked(recoded(codes[real, real], table, name / "label"), pixels),
            pixels=pixels[indices],
            roles=wanted,
            geobox=None if geobox is None else geobox[real, real],
            split=_text(image.row.get("tortilla:data_split")),
            tags={"label_type": str(image.row["label_type"])},
        )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
