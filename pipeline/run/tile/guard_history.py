"""The guard in one tile: where scenes show the ground, given how often each pixel was called cloud."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.mask import Counts, usable
from pipeline.types import GuardSettings, Scene

Flags = NDArray[np.bool_]
Codes = NDArray[np.uint8]


@dataclass(kw_only=True)
class History:
    """Counts of a tile's masks over a window of time that slides from period to period."""

    settings: GuardSettings
    shape: tuple[int, int]
    read: Callable[[Scene], Codes]
    """Reads the tile's mask of a scene."""
    _counts: dict[str, Counts] = field(default_factory=dict)
    _inside: set[Scene] = field(default_factory=set)

    def guarded(self, scenes: Sequence[Scene]) -> dict[str, Flags]:
        """Return sensor -> pixels (y, x) that are guarded, counted over these scenes."""
        wanted = set(scenes)
        for scene in self._inside - wanted:
            self._of(scene).remove(self.read(scene))
        for scene in wanted - self._inside:
            self._of(scene).add(self.read(scene))
        self._inside = wanted
        return {sensor: counts.persistent() for sensor, counts in self._counts.items()}

    def usable(self, mask: Codes, guarded: Flags) -> Flags:
        """Return where a mask shows the ground, clouds at guarded pixels included."""
        return usable(mask, guarded, self.settings)

    def _of(self, scene: Scene) -> Counts:
        # Each sensor has its own model, which makes its own mistakes.
        if scene.sensor not in self._counts:
            self._counts[scene.sensor] = Counts(self.shape, self.settings)
        return self._counts[scene.sensor]
