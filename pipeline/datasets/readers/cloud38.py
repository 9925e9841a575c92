"""38-Cloud and 95-Cloud: patches of Landsat 8 (Mohajerani & Saeedi 2019, 2021)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets import labels
from pipeline.datasets.file_reader import DatasetReader, masked
from pipeline.datasets.files import Array, need, read_band, reflectance, some
from pipeline.datasets.labels import DatasetCard, Labelled, malformed, recoded
from pipeline.wording import counted

ROLES = ("red", "green", "blue", "nir")
EDGE_PX = 384
PATCH = {0: labels.NOT_CLOUD, 255: labels.CLOUD}
SCENE = {0: labels.NO_DATA, 1: labels.NOT_CLOUD, 2: labels.CLOUD}

_TRAIN = re.compile(r"red_patch_(\d+)_(\d+)_by_(\d+)_(.+)\.TIF$")


class Cloud38(DatasetReader):
    """Training patches with ``train_gt``, and test patches put together to whole scenes."""

    card = DatasetCard(
        name="38cloud",
        title="38-Cloud / 95-Cloud",
        level="L1C",
        roles=ROLES,
        resolution_m=30.0,
        known=(labels.NOT_CLOUD, labels.CLOUD),
        layout=(
            "<root>/**/train_{red,green,blue,nir,gt}*/<band>_patch_<n>_<row>_by_<col>_<scene>.TIF "
            "(384 × 384 uint16), or test_{red,green,blue,nir}/ with "
            "Entire_scene_gts/edited_corrected_gts_<scene>.TIF"
        ),
        source="Mohajerani & Saeedi 2019, 2021, https://github.com/SorourMo/95-Cloud",
        notes=(
            "shadows are not labelled: clear may be shadow",
            "the files do not give the sun's elevation: reflectance is not divided by its sine",
            "its own rule averages the scores of 20 test scenes: see the values by image",
        ),
    )

    def read(self, path: Path, roles: Collection[str] | None = None) -> Iterator[Labelled]:
        """Read training patches, or test scenes; see `pipeline.datasets.labels.Reader`."""
        root = need(path, self.card.layout)
        wanted = self.chosen(roles)
        training = [*root.rglob("train_red*/red_patch_*.TIF")]
        testing = [*root.rglob("edited_corrected_gts_*.TIF")]
        some([*training, *testing], path, self.card.layout)
        listed = _nonempty(root)
        for file in sorted(training):
            if listed is None or file.stem.removeprefix("red_") in listed:
                yield self._patch(file, wanted)
        for file in sorted(testing):
            yield self._scene(root, file, wanted)

    def _patch(self, red: Path, wanted: tuple[str, ...]) -> Labelled:
        shape = (EDGE_PX, EDGE_PX)
        raw = np.stack([read_band(_beside(red, role), shape=shape)[0] for role in ROLES])
        gt = _beside(red, "gt")
        codes, _ = read_band(gt, shape=shape)
        return self._image(
            red.stem.removeprefix("red_"), raw, recoded(codes, PATCH, gt), wanted, "train"
        )

    def _scene(self, root: Path, gt: Path, wanted: tuple[str, ...]) -> Labelled:
        scene = gt.stem.removeprefix("edited_corrected_gts_")
        codes, _ = read_band(gt)
        files = _patches(root, scene)
        raw = np.stack(
            [_joined({at: _beside(f, role) for at, f in files.items()}) for role in ROLES]
        )
        top, left = _corner(gt, codes, raw)
        rows, cols = codes.shape
        raw = raw[:, top : top + rows, left : left + cols]
        return self._image(scene, raw, recoded(codes, SCENE, gt), wanted, "test")

    def _image(
        self,
        name: str,
        raw: Array,
        drawn: NDArray[np.uint8],
        wanted: tuple[str, ...],
        split: str,
    ) -> Labelled:
        pixels = reflectance(raw, 2e-5, -0.1)
        chosen = pixels[[ROLES.index(role) for role in wanted]]
        return self.labelled(
            name, masked(drawn, pixels), pixels=chosen, roles=wanted, split=split
        )


def _beside(red: Path, band: str) -> Path:
    """Return the file of another band of a patch: ``train_red`` and ``red_patch`` name it twice."""
    folder = red.parent.name.replace("red", band, 1)
    return red.parent.parent / folder / red.name.replace("red_", f"{band}_", 1)


def _nonempty(root: Path) -> set[str] | None:
    """Return the patches that have data, as the data set lists them; none without a list."""
    lists = sorted(root.rglob("*nonempty.csv"))
    if not lists:
        return None
    lines = [line.strip() for file in lists for line in file.read_text().splitlines()]
    return {line for line in lines if line and line != "name"}


def _patches(root: Path, scene: str) -> dict[tuple[int, int], Path]:
    """Return the red patches of a scene by row and column, from 0."""
    found = sorted(root.rglob(f"test_red/red_patch_*_{scene}.TIF"))
    expected = f"test_red/red_patch_<n>_<row>_by_<col>_{scene}.TIF"
    parsed = [(_TRAIN.match(file.name), file) for file in some(found, root, expected)]
    places = {(int(match[2]) - 1, int(match[3]) - 1): file for match, file in parsed if match}
    rows, cols = (max(place[axis] for place in places) + 1 for axis in (0, 1))
    if len(places) != rows * cols:
        raise malformed(
            root,
            f"scene {scene} has {counted(len(places), 'patch', 'patches')}",
            f"{rows} × {cols}",
        )
    return places


def _joined(files: Mapping[tuple[int, int], Path]) -> Array:
    rows, cols = (max(place[axis] for place in files) + 1 for axis in (0, 1))
    whole = np.zeros((rows * EDGE_PX, cols * EDGE_PX), np.uint16)
    for (row, col), file in files.items():
        patch, _ = read_band(file, shape=(EDGE_PX, EDGE_PX))
        y, x = row * EDGE_PX, col * EDGE_PX
        whole[y : y + EDGE_PX, x : x + EDGE_PX] = patch
    return whole


def _corner(gt: Path, codes: Array, raw: Array) -> tuple[int, int]:
    """Return where a scene begins in its patches.

    They were padded to whole patches, on which sides the data set does not say: the candidates are
    all padding below and on the right, or half of it on each side; the one where the fill of label
    and image agree best is taken.
    """
    spare = [raw.shape[axis + 1] - codes.shape[axis] for axis in (0, 1)]
    if min(spare) < 0:
        raise malformed(gt, f"it has the shape {codes.shape}", f"at most {raw.shape[1:]}")
    fill = (raw == 0).all(axis=0)
    candidates = [
        (0, 0),
        (spare[0] // 2, spare[1] // 2),
        (-(-spare[0] // 2), -(-spare[1] // 2)),
    ]

    def agreement(corner: tuple[int, int]) -> int:
        top, left = corner
        part = fill[top : top + codes.shape[0], left : left + codes.shape[1]]
        return int(np.count_nonzero(part == (codes == 0)))

    return max(candidates, key=agreement)
