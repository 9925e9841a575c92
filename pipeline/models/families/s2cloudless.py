"""s2cloudless, Sentinel Hub's pixel classifier: boosted trees on ten bands of Sentinel-2 L1C.

Its package is an extra that the user installs, because of its licence (CC-BY-SA-4.0). Only the trees are read from
it, as the text that LightGBM loads; the package is located but not imported, since its import starts a catalogue
client.

A pixel is cloud where the mean probability over a disk round it exceeds a threshold, or within a second disk round
such a pixel. The receptive field is therefore the sum of both radii, and with a halo of that width any partition
gives the same mask.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.models.families import options as option
from pipeline.types import Code, Lattice, Model, ModelCard

NAME = "s2cloudless"
PACKAGE = "s2cloudless"
TREES = "models/pixel_s2_cloud_detector_lightGBM_v0.1.txt"
SHA256 = "0f92b6822cc0ad42982f55bab9b1688329e119451ad9a9e0a56384b9f37bc61d"
INSTALL = "install the extra: pip install 'cloudmask[s2cloudless]' (CC-BY-SA-4.0)"

ROLES = (
    "coastal",
    "blue",
    "red",
    "rededge1",
    "nir",
    "nir08",
    "nir09",
    "cirrus",
    "swir16",
    "swir22",
)
"""B01, B02, B04, B05, B08, B8A, B09, B10, B11, B12."""

CLASSES = (Code.CLEAR, Code.THICK_CLOUD)
"""Clear first, so that a tie is clear: in the original a cloud must exceed the threshold."""

OPTIONS: Mapping[str, tuple[object, option.Check]] = {
    "threshold": (0.4, option.between(0.0, 1.0)),
    "average_px": (1, option.whole(0, 16)),
    "dilation_px": (1, option.whole(0, 16)),
}
"""Defaults are the package's own: ``threshold``, ``average_over`` and ``dilation_size``."""

CORE_PX = 512


class _Trees(Protocol):
    def predict(self, data: NDArray[np.float32], *, num_threads: int) -> NDArray[np.float64]:
        """Return the probability of cloud (N,) of pixels (N, 10)."""
        ...


class S2cloudlessModel:
    """The trees and their card; thread-safe."""

    def __init__(self, card: ModelCard, trees: _Trees) -> None:
        """Take the trees, and the card whose options turn their probabilities into classes."""
        self.card = card
        self._trees = trees
        self._threshold = np.float32(card.options["threshold"])
        self._average = tuple(disk(int(card.options["average_px"])))
        self._dilation = tuple(disk(int(card.options["dilation_px"])))

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score windows (N, 10, H, W) of reflectance; see `pipeline.types.Model`."""
        # Piecewise linear, so that the threshold becomes exactly one half.
        scores = [self._shares(self._probability(window)) for window in windows]
        return np.stack([np.stack([1 - cloud, cloud]) for cloud in scores])

    def _probability(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of cloud (H, W): the mean over a disk, then the maximum over a disk."""
        probability = self._of_pixels(window)
        weight = np.float32(1 / len(self._average))
        # The window is mirrored at its edge, as the original mirrors an image; this affects the halo only.
        averaged = sum(weight * each for each in _shifted(probability, self._average))
        cloud: NDArray[np.float32] = np.maximum.reduce(
            list(_shifted(np.asarray(averaged, np.float32), self._dilation))
        )
        return cloud

    def _of_pixels(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        # No data is zero, as in the input of the original.
        pixels = np.nan_to_num(window, nan=0.0).reshape(len(window), -1).T
        some, back = _without_repeated_zeros(pixels)
        # One thread: concurrency comes from the callers.
        found = self._trees.predict(some, num_threads=1).astype(np.float32)
        probability: NDArray[np.float32] = found[back].reshape(window.shape[1:])
        return probability

    def _shares(self, probability: NDArray[np.float32]) -> NDArray[np.float32]:
        t = self._threshold
        below = probability / (2 * t)
        above = 0.5 + (probability - t) / (2 * (1 - t))
        # Rounding must not carry a pixel across the threshold.
        over = np.nextafter(np.float32(0.5), np.float32(1))
        shares: NDArray[np.float32] = np.where(
            probability > t, np.maximum(above, over), np.minimum(below, np.float32(0.5))
        ).astype(np.float32)
        return shares


def _without_repeated_zeros(
    pixels: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return pixels with all-zero rows merged into the first one, and the row of each pixel.

    Half of a scene can be no data, and each row is evaluated by hundreds of trees.
    """
    with_data = np.flatnonzero(pixels.any(axis=1))
    back = np.zeros(len(pixels), np.intp)
    back[with_data] = np.arange(1, len(with_data) + 1)
    return np.concatenate([np.zeros_like(pixels[:1]), pixels[with_data]]), back


def disk(radius: int) -> Iterator[tuple[int, int]]:
    """Give the offsets (y, x) in pixels that lie within a radius."""
    for y in range(-radius, radius + 1):
        for x in range(-radius, radius + 1):
            if y * y + x * x <= radius * radius:
                yield y, x


def _shifted(
    image: NDArray[np.float32], offsets: tuple[tuple[int, int], ...]
) -> Iterator[NDArray[np.float32]]:
    """Give an image as seen from every offset, mirrored beyond its edge."""
    height, width = image.shape
    reach = max(y for y, _ in offsets)
    padded = np.pad(image, reach, mode="symmetric")
    for y, x in offsets:
        yield padded[reach + y : reach + y + height, reach + x : reach + x + width]


class S2cloudless:
    """The provider of this model; see `pipeline.models.Provider`."""

    def names(self) -> tuple[str, ...]:
        """Return its name."""
        return (NAME,)

    def resolve(
        self,
        name: str,  # noqa: ARG002 - it has one model
        *,
        level: str,
        roles: Collection[str],
        options: Mapping[str, Any],
    ) -> ModelCard:
        """Choose the card for some items; see `pipeline.models.resolve`."""
        # Of Sentinel-2 only L1C has the cirrus band.
        option.require_fit(NAME, ROLES, roles, level=level, levels=("L1C",))
        trees_file()
        return _card(option.resolve(NAME, options, OPTIONS))

    def alignment_px(self, _: ModelCard) -> int:
        """Return 1: windows may start at any pixel, because the receptive field lies inside the halo."""
        return 1

    def load(self, card: ModelCard) -> Model:
        """Load the trees; see `pipeline.models.load`."""
        content = trees_file().read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != card.weights_sha256:
            raise ModelError(
                f"the trees of {NAME} have the checksum {found} instead of {card.weights_sha256}; "
                "install s2cloudless 1.7 again"
            )
        booster = import_module("lightgbm").Booster(model_str=content.decode())
        return S2cloudlessModel(card, booster)

    def bytes_needed(self, card: ModelCard, *, windows: int) -> int:
        """State the memory of inference; see `pipeline.models.bytes_needed`."""
        pixels = card.lattice.window_px**2
        # The bands twice (as image and as rows of pixels), probabilities, their means, and scores.
        neighbours = len(tuple(disk(int(card.options["dilation_px"]))))
        return TREES_BYTES + windows * pixels * 4 * (3 * len(ROLES) + 10 + neighbours)


TREES_BYTES = 100 * 10**6
"""LightGBM's trees, parsed from 11 MB of text, and its library (measured)."""


@functools.cache
def trees_file() -> Path:
    """Find the trees in the installed package.

    Raises
    ------
    ModelError
        The extra is not installed, or has no such file.
    """
    spec = importlib.util.find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    if not folders or importlib.util.find_spec("lightgbm") is None:
        raise ModelError(f"{NAME} is not installed; {INSTALL}")
    path = Path(folders[0]) / TREES
    if not path.is_file():
        raise ModelError(f"{path} is missing; install s2cloudless 1.7")
    return path


def _card(options: dict[str, str]) -> ModelCard:
    return ModelCard(
        name=NAME,
        version="0.1",
        roles=ROLES,
        levels=("L1C",),
        resolution_m=(10.0, 160.0),
        normalisation="none; NaN becomes 0",
        lattice=Lattice(
            core_px=CORE_PX, halo_px=int(options["average_px"]) + int(options["dilation_px"])
        ),
        classes=CLASSES,
        scores="probabilities",
        weights="LightGBM trees of the installed s2cloudless package",
        weights_sha256=SHA256,
        licence="CC-BY-SA-4.0",
        source="https://github.com/sentinel-hub/sentinel2-cloud-detector",
        accuracy="OA 92.42 over the Sentinel-2 Cloud Mask Catalogue at a threshold of .5 (Francis et "
        "al. 2022, SEnSeI)",
        options=options,
    )
