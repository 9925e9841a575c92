"""The Sentinel-2 Cloud Mask Catalogue of 513 subscenes (Francis et al. 2020)."""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets import labels
from pipeline.datasets.file_reader import FileReader
from pipeline.datasets.files import check_shape, load_npy
from pipeline.datasets.labels import DatasetCard, Labelled, malformed
from pipeline.datasets.readers.cloudsen12 import ROLES

EDGE_PX = 1022
TAGS = "classification_tags.csv"
MARKED = "shadows_marked"
"""Tag of scenes whose shadows were drawn."""


class CloudMaskCatalogue(FileReader):
    """``subscenes/<id>.npy`` and ``masks/<id>.npy``, tags in ``classification_tags.csv``.

    Tags, where they are there, say more than the one-hot mask: snow is possible only where tagged,
    clouds are thin or thick as tagged, and clear may be shadow where no shadows were drawn.
    """

    card = DatasetCard(
        name="cmc",
        title="Sentinel-2 Cloud Mask Catalogue",
        level="L1C",
        roles=ROLES,
        resolution_m=20.0,
        known=(
            *(labels.CLEAR, labels.FLOODED, labels.NOT_CLOUD, labels.FLOODED | labels.SHADOW),
            *(labels.THIN, labels.THICK, labels.CLOUD, labels.SHADOW),
        ),
        layout=(
            "<root>/subscenes/<id>.npy (1022, 1022, 13) float reflectance, <root>/masks/<id>.npy "
            f"(1022, 1022, 3) one-hot clear, cloud, shadow; tags in <root>/{TAGS}"
        ),
        source="Francis et al. 2020, https://doi.org/10.5281/zenodo.4172871",
        notes=("scenes without shadow labels: clear may be shadow",),
    )

    def files(self, root: Path) -> Iterable[Path]:
        """Return the subscenes."""
        return root.glob("subscenes/*.npy")

    def image(self, root: Path, file: Path, wanted: tuple[str, ...]) -> Labelled:
        """Read a subscene, its mask and its tags."""
        tags = _tags(root / TAGS).get(file.stem, {})
        mask = root / "masks" / file.name
        drawn = load_npy(mask, "the mask of the subscene")
        check_shape(mask, drawn.shape, (EDGE_PX, EDGE_PX, 3))
        image = load_npy(file, "a subscene")
        check_shape(file, image.shape, (EDGE_PX, EDGE_PX, len(ROLES)))
        bands = [ROLES.index(role) for role in wanted]
        pixels = np.moveaxis(np.asarray(image[..., bands], np.float32), -1, 0)
        found = _labels(mask, np.asarray(drawn), tags)
        return self.labelled(file.stem, found, pixels=pixels, roles=wanted, tags=tags)


def _labels(
    path: Path, one_hot: NDArray[np.generic], tags: Mapping[str, str]
) -> NDArray[np.uint8]:
    clear, cloud, shadow = np.moveaxis(one_hot.astype(bool), -1, 0)
    if not (clear ^ cloud ^ shadow).all() or (clear & cloud & shadow).any():
        raise malformed(path, "its classes are not one-hot", "one of clear, cloud, shadow")
    out = np.zeros(clear.shape, np.uint8)
    out[clear] = _clear(tags, shadows_drawn=bool(shadow.any()))
    out[cloud] = _cloud(tags)
    out[shadow] = labels.SHADOW
    return out


def _clear(tags: Mapping[str, str], *, shadows_drawn: bool) -> int:
    ground = labels.CLEAR if not tags or _yes(tags, "snow/ice") else labels.FLOODED
    drawn = _yes(tags, MARKED) if MARKED in tags else shadows_drawn
    return ground if drawn else ground | labels.SHADOW


def _cloud(tags: Mapping[str, str]) -> int:
    thin, thick = _yes(tags, "thin"), _yes(tags, "thick")
    if thin == thick:
        return labels.CLOUD
    return labels.THIN if thin else labels.THICK


def _yes(tags: Mapping[str, str], name: str) -> bool:
    value = tags.get(name, "").strip().lower()
    return value in {"1", "1.0", "true", "yes"}


@functools.lru_cache(maxsize=1)
def _tags(path: Path) -> dict[str, dict[str, str]]:
    """Return the tags of each scene; none where the table is not there."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if rows and "scene" not in rows[0]:
        raise malformed(path, f"its columns are {', '.join(rows[0])}", "a column scene")
    return {row["scene"]: {k: v for k, v in row.items() if k and v} for row in rows}
