"""What a tile's scenes show of the ground, once the guard has seen the history of their period."""

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
    """The masks that a tile has, counted over a window of time that slides from period to period."""

    settings: GuardSettings
    shape: tuple[int, int]
    read: Callable[[Scene], Codes]
    """Reads the tile's mask of a scene."""
    _counts: dict[str, Counts] = field(default_factory=dict)
    _inside: set[Scene] = field(default_factory=set)

    def guarded(self, scenes: Sequence[Scene]) -> dict[str, Flags]:
        """Return sensor -> pixels (y, x) that a history of these scenes guards."""
        wanted = set(scenes)
        for scene in self._inside - wanted:
            self._of(scene).remove(self.read(scene))
        for scene in wanted - self._inside:
            self._of(scene).add(self.read(scene))
        self._inside = wanted
        return {sensor: counts.persistent() for sensor, counts in self._counts.items()}

    def usable(self, mask: Codes, guarded: Flags) -> Flags:
        """Say where a mask shows the ground, guarded clouds included."""
        return usable(mask, guarded, self.settings)

    def _of(self, scene: Scene) -> Counts:
        # A model's mistakes are its own: each sensor has its history.
        if scene.sensor not in self._counts:
            self._counts[scene.sensor] = Counts(self.shape, self.settings)
        return self._counts[scene.sensor]
