"""Where the scenes of one tile show the ground, and which of it a period is composed of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from pipeline import composite
from pipeline.cost import METER, Cost
from pipeline.types import CompositeSettings, Period, Scene

Flags = NDArray[np.bool_]
DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Pixels (y, x) of each scene that is read for a period."""

    usable: Mapping[Scene, Flags]
    """Where masks and guard show the ground."""
    composed: Mapping[Scene, Flags]
    """Of the period's scenes what is composed: all of `usable`, or `max_observations` of the clearest."""
    judging: Mapping[Scene, Flags]
    """What is read to screen it alone: of scenes around the period, and of its own what is not composed."""

    @classmethod
    def of(
        cls, period: Period, usable: Mapping[Scene, Flags], settings: CompositeSettings
    ) -> Ground:
        """Choose what is composed; `usable` has scenes by time."""
        composed = {scene: shown for scene, shown in usable.items() if scene.time in period}
        judging = {scene: shown for scene, shown in usable.items() if scene not in composed}
        most = settings.max_observations
        if most is not None and composed:
            off = _off_days(period, [*composed])
            chosen = composite.clearest(np.stack([*composed.values()]), off, most)
            composed = dict(zip(composed, chosen, strict=True))
            if settings.screen:
                judging |= {scene: usable[scene] & ~each for scene, each in composed.items()}
        return cls(usable=usable, composed=composed, judging=judging)

    @property
    def held(self) -> int:
        """How many scenes are opened: twice one that is composed in part and judges the rest."""
        return sum(
            bool(shown.any())
            for each in (self.composed, self.judging)
            for shown in each.values()
        )

    @property
    def shows(self) -> bool:
        """Whether any pixel is composed."""
        return any(shown.any() for shown in self.composed.values())

    def count_not_needed(self, settings: CompositeSettings, chunk_px: int) -> None:
        """Count the bytes that `max_observations` spares, as blocks of so many pixels are read."""
        if settings.max_observations is None:
            return
        rest = len(composite.EVIDENCE) if settings.screen else 0
        px = 0
        for scene, shown in self.composed.items():
            asked = (self.usable[scene], shown, self.judging.get(scene))
            whole, own, judged = (
                0 if each is None else _box_px(each, chunk_px) for each in asked
            )
            px += len(settings.bands) * (whole - own) - rest * judged
        METER.add(Cost(bytes_not_needed=4 * px))


def _off_days(period: Period, scenes: Sequence[Scene]) -> NDArray[np.float64]:
    """Return how many days scenes are from the middle of a period; all time has none: the latest come first."""
    middle = period.start + (period.end - period.start) / 2
    if period == composite.ALL_TIME:
        middle = period.end
    # Days, as in fingerprints: a scene may be known by another instant of its day.
    noons = [each.time.replace(hour=12, minute=0, second=0, microsecond=0) for each in scenes]
    return np.array([abs((noon - middle) / DAY) for noon in noons])


def _box_px(shown: Flags, chunk_px: int) -> int:
    """Return the pixels of the rectangles that are read of blocks: those that hold all of a block's pixels."""
    found = 0
    for top in range(0, shown.shape[0], chunk_px):
        for left in range(0, shown.shape[1], chunk_px):
            block = shown[top : top + chunk_px, left : left + chunk_px]
            spans = [np.flatnonzero(block.any(axis=axis)) for axis in (0, 1)]
            if spans[0].size:
                found += int(np.prod([each[-1] - each[0] + 1 for each in spans]))
    return found
