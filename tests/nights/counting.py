"""A model of the tests' own, found as those of other packages are, that notes every window it sees.

`install` writes what a package manager would leave of a package that registers it: whoever has that
folder on the path, in whatever process, finds the model by name.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.models.families import provider as providers
from pipeline.testing import ThresholdModel
from pipeline.types import Lattice, Model, ModelCard

NAME = "counting"
LOG = "NIGHTS_LOG"
"""Environment variable: the file to which windows are noted; unset: nowhere."""
LATTICE = Lattice(core_px=64, halo_px=0)
BRIGHT = 0.35


def digest(window: NDArray[np.float32]) -> str:
    """Name a window (B, H, W) by its pixels."""
    return hashlib.sha256(np.ascontiguousarray(window).tobytes()).hexdigest()[:24]


class Counting:
    """Bright is cloud, dark is shadow."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self._threshold = ThresholdModel(card.lattice, card.roles)
        self._bright = float(card.options["bright"])

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score windows (N, B, H, W), and note them."""
        self._note([digest(window) for window in windows])
        # Shifted, so that what is bright is decided by the option.
        return self._threshold.predict(windows * np.float32(BRIGHT / self._bright))

    def _note(self, digests: list[str]) -> None:
        if LOG not in os.environ:
            return
        # One write of a line each is whole or not there, whoever is killed.
        log = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            for each in digests:
                os.write(log, f"{each}\n".encode())
        finally:
            os.close(log)


class Provider:
    """See `pipeline.models.Provider`."""

    def names(self) -> Collection[str]:
        return (NAME,)

    def resolve(
        self, name: str, *, level: str, roles: Collection[str], options: Mapping[str, Any]
    ) -> ModelCard:
        if unknown := set(options) - {"bright"}:
            raise ModelError(f"{name} has no options {unknown}")
        chosen = ("blue", "nir" if "nir" in roles else "nir08")
        return dataclasses.replace(
            ThresholdModel(LATTICE, chosen).card,
            name=NAME,
            options={"bright": str(options.get("bright", BRIGHT))},
        )

    def load(self, card: ModelCard) -> Model:
        return Counting(card)

    def bytes_needed(self, card: ModelCard, *, windows: int) -> int:
        return windows


PROVIDER = Provider()


def install(folder: Path) -> Path:
    """Make a folder for ``PYTHONPATH`` in which the model is registered; return it."""
    said = folder / "nights_counting-1.dist-info"
    said.mkdir(parents=True)
    (said / "METADATA").write_text("Metadata-Version: 2.1\nName: nights-counting\nVersion: 1\n")
    (said / "entry_points.txt").write_text(
        f"[{providers.ENTRY_POINTS}]\n{NAME} = {__name__}:PROVIDER\n"
    )
    return folder


@contextmanager
def provided() -> Iterator[None]:
    """Have the model in this process, too."""
    before = providers.OWN
    providers.OWN = [*before, PROVIDER]
    try:
        yield
    finally:
        providers.OWN = before
