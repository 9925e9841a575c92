"""What most data sets have in common: files that each give one labelled image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets import labels as sets
from pipeline.datasets.files import need, some
from pipeline.datasets.labels import DatasetCard, Labelled

Pixels = NDArray[np.float32]
Codes = NDArray[np.uint8]


class DatasetReader:
    """A reader with a card, from which every image takes its resolution and level."""

    card: DatasetCard

    def chosen(self, roles: Collection[str] | None) -> tuple[str, ...]:
        """Return the bands of the card that are wanted, in its order; none wanted: all."""
        return tuple(each for each in self.card.roles if roles is None or each in roles)

    def labelled(
        self,
        name: str,
        drawn: Codes,
        *,
        pixels: Pixels | None = None,
        **more: Any,  # noqa: ANN401,  # noqa: ANN401
    ) -> Labelled:
        """Return an image; `pixels` of no band are none, `more` as in `Labelled`."""
        return Labelled(
            id=name,
            labels=drawn,
            resolution_m=self.card.resolution_m,
            level=self.card.level,
            pixels=pixels if pixels is not None and len(pixels) else None,
            **more,
        )


class FileReader(DatasetReader, ABC):
    """A reader of one image a file; a single file is a data set, too, where `files` says so."""

    def read(self, path: Path, roles: Collection[str] | None = None) -> Iterator[Labelled]:
        """Read the images, in the order of their files; see `pipeline.datasets.labels.Reader`."""
        root = need(path, self.card.layout)
        for file in some([*self.files(root)], path, self.card.layout):
            yield self.image(root, file, self.chosen(roles))

    @abstractmethod
    def files(self, root: Path) -> Iterable[Path]:
        """Return the files that give an image each."""

    @abstractmethod
    def image(self, root: Path, file: Path, wanted: tuple[str, ...]) -> Labelled:
        """Read one image with the bands `wanted`."""


def masked(drawn: Codes, pixels: Pixels) -> Codes:
    """Return labels that say no data where the first band, NaN there, has none."""
    out = drawn.copy()
    if len(pixels):
        out[np.isnan(pixels[0])] = sets.NO_DATA
    return out
