"""Schemes: which classes are distinguished, and in which group a label or a code falls.

The superclasses cloud / not cloud (thin and thick together) and valid / invalid (cloud and shadow
together) are those of Francis (2024, "SEnSeI-v2").
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets import labels
from pipeline.types import Code

DOUBTFUL = 255
"""Group of a label that allows more than one group, and of one that allows none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A partition of the classes that have data."""

    name: str
    groups: tuple[str, ...]
    members: tuple[int, ...]
    """Label that allows all classes of each group; together, each class once."""

    def of_labels(self, given: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the group of each label, `DOUBTFUL` where it does not decide."""
        return _groups_of_labels(self)[given]

    def of_codes(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the group of each code of `Code`, `DOUBTFUL` for no data."""
        return _groups_of_codes(self)[codes]

    def decidable(self, known: Collection[int], classes: Collection[Code]) -> bool:
        """Say whether a data set's labels and a model's classes both distinguish the groups."""
        decided = {int(group) for group in self.of_labels(np.array([*known], np.uint8))}
        predicted = {int(group) for group in self.of_codes(np.array([*classes], np.uint8))}
        every = set(range(len(self.groups)))
        return every <= decided and every <= predicted


@functools.cache
def _groups_of_labels(scheme: Scheme) -> NDArray[np.uint8]:
    sets = np.arange(256, dtype=np.uint8)
    table = np.full(256, DOUBTFUL, np.uint8)
    for group, members in enumerate(scheme.members):
        table[(sets != 0) & (sets & np.uint8(255 - members) == 0)] = group
    return table


@functools.cache
def _groups_of_codes(scheme: Scheme) -> NDArray[np.uint8]:
    table = np.full(256, DOUBTFUL, np.uint8)
    for code in Code:
        table[code] = scheme.of_labels(np.array([labels.allow(code)], np.uint8))[0]
    return table


CLOUD = Scheme(
    name="cloud", groups=("not cloud", "cloud"), members=(labels.NOT_CLOUD, labels.CLOUD)
)
INVALID = Scheme(
    name="invalid",
    groups=("valid", "invalid"),
    members=(labels.CLEAR, labels.CLOUD | labels.SHADOW),
)
THREE = Scheme(
    name="three",
    groups=("clear", "cloud", "shadow"),
    members=(labels.CLEAR, labels.CLOUD, labels.SHADOW),
)
FOUR = Scheme(
    name="four",
    groups=("clear", "thin cloud", "thick cloud", "shadow"),
    members=(labels.CLEAR, labels.THIN, labels.THICK, labels.SHADOW),
)
SURFACE = Scheme(
    name="surface",
    groups=("land", "water", "snow", "cloud", "shadow"),
    members=(labels.LAND, labels.WATER, labels.SNOW, labels.CLOUD, labels.SHADOW),
)

SCHEMES = (CLOUD, INVALID, THREE, FOUR, SURFACE)
"""From coarse to fine."""
