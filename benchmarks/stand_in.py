"""A device that takes a fixed time for each megapixel and computes nothing: what is left is the run beside its network.

`install` registers it as a package's model is, for every process that has the folder on its path.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.models.families.provider import ENTRY_POINTS
from pipeline.testing.models import fake_card
from pipeline.types import Lattice, Model, ModelCard, Then

NAME = "stand-in"
SECONDS, LOG = "STAND_IN_SECONDS", "STAND_IN_LOG"
"""Environment variables: seconds a megapixel of windows' cores; the file to which each batch's begin, end and windows are noted."""
LATTICE = Lattice(core_px=448, halo_px=32)
ROLES = ("red", "green", "nir")
BATCH = 4


class Device:
    """Computes one batch at a time, and decides it, as a GPU does."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self._seconds = float(os.environ[SECONDS])
        self._busy = threading.Lock()
        self._decided: dict[int, tuple[NDArray[Any], ...]] = {}

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score windows (N, B, H, W) as clear."""
        with self._busy:
            begun = time.monotonic()
            time.sleep(self._seconds * len(windows) * LATTICE.core_px**2 / 1e6)
            line = json.dumps([begun, time.monotonic(), len(windows)])
            with Path(os.environ[LOG]).open("a") as log:
                print(line, file=log)
        scores = np.zeros((len(windows), len(self.card.classes), *windows.shape[2:]), "f4")
        scores[:, 0] = 1
        return scores

    def predict_then(
        self, windows: NDArray[np.float32], beside: NDArray[Any], then: Then
    ) -> tuple[NDArray[Any], ...]:
        """Decide windows; what is decided of windows without gaps is always the same, and no work of the host."""
        scores = self.predict(windows)
        if beside.any():
            return then(scores, beside)
        if len(windows) not in self._decided:
            self._decided[len(windows)] = then(scores, beside)
        return self._decided[len(windows)]


class Provider:
    """See `pipeline.models.Provider`."""

    def names(self) -> Collection[str]:
        """Return the model's name."""
        return (NAME,)

    def resolve(self, *_: object, **__: object) -> ModelCard:
        """Return the model's card, whatever is asked."""
        return fake_card(NAME, LATTICE, ROLES, batch=BATCH)

    def load(self, card: ModelCard) -> Model:
        """Return the device of a card."""
        return Device(card)

    def bytes_needed(self, card: ModelCard, *, windows: int) -> int:
        """Return the bytes of windows and scores."""
        return windows * LATTICE.window_px**2 * 4 * (len(ROLES) + len(card.classes))


PROVIDER = Provider()


def install(folder: Path) -> str:
    """Register the device in a folder; return what ``PYTHONPATH`` must have."""
    said = folder / "stand_in-1.dist-info"
    said.mkdir(parents=True)
    (said / "METADATA").write_text("Metadata-Version: 2.1\nName: stand-in\nVersion: 1\n")
    (said / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\n{NAME} = stand_in:PROVIDER\n")
    here = str(Path(__file__).parent)
    return os.pathsep.join(filter(None, (str(folder), here, os.environ.get("PYTHONPATH"))))
