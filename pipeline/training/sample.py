"""A sample: what is learnt from, whatever it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """An image, its labels, and what its bands are."""

    pixels: Floats
    """(B, Y, X) reflectance, finite."""
    labels: NDArray[np.uint8]
    """(Y, X) sets of codes as bits; nothing allowed but no data: not learnt from."""
    bands_um: Floats
    """(B, 2) centre and width."""


class Source(Protocol):
    """Something that samples are drawn from."""

    def scene(self, rng: np.random.Generator) -> Sample:
        """Draw a scene, at least as large as a crop."""
        ...
