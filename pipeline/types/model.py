"""The seams between `mask` and `models`, and between `composite` and the device that it may compose on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.types.legend import Code

MAY_LACK: Mapping[Code, str] = {
    Code.THIN_CLOUD: "thin cloud",
    Code.WATER: "water",
    Code.SNOW: "snow",
    Code.CLOUD_SHADOW: "shadow",
}
"""Classes that a model may lack: it calls them clear or cloud."""

Scores = Literal["probabilities", "logits"]
"""What a model returns for each class: probabilities, which add up to one, or logits, the input of a softmax."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    r"""Where inference windows sit: cores tile the plane from the CRS origin, each with a halo.

    ::

        window   |----------- core_px + 2 · halo_px -----------|
        core          |------------ core_px ------------|
        weight   ___/‾‾‾\___   0 to 1 over blend_px, centred on each edge of the core

    A window is the square of ``core_px + 2 · halo_px`` pixels round a core. A model sees whole
    windows only, so that a pixel's class does not depend on how the region was cut. Across the
    edge of a core the scores of both windows are averaged, with weights that are fixed on the
    lattice and add up to one; elsewhere one window decides alone.
    """

    core_px: int
    halo_px: int
    blend_px: int = 0
    """Width of the ramp across an edge, even, at most the core and twice the halo; 0: hard edges."""
    shift_px: int = 0
    """Edges of cores lie this many pixels after the multiples of `core_px` from the CRS origin.
    Half a core keeps them off the edges of tiles, so that a tile needs the fewest windows."""

    def __post_init__(self) -> None:
        sound = (
            self.core_px >= 1
            and self.halo_px >= 0
            and 0 <= self.blend_px <= min(self.core_px, 2 * self.halo_px)
            and self.blend_px % 2 == 0
            and 0 <= self.shift_px < self.core_px
        )
        if not sound:
            raise ModelError(
                f"{self} is no lattice: expected core_px >= 1, halo_px >= 0, an even blend_px of "
                "at most core_px and 2 · halo_px, and 0 <= shift_px < core_px"
            )

    @property
    def window_px(self) -> int:
        """Edge of a window."""
        return self.core_px + 2 * self.halo_px

    @property
    def reach_px(self) -> int:
        """How far beyond its core a window counts, where scores are blended."""
        return self.blend_px // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What is known about a model before it is loaded."""

    name: str
    """E.g. ``ukis-csmask-6b-l2a``."""
    version: str
    roles: tuple[str, ...]
    """Order of the bands that `Model.predict` expects."""
    levels: tuple[str, ...]
    """Processing levels it was trained on: ``L1C`` (top of atmosphere), ``L2A`` (surface)."""
    resolution_m: tuple[float, float]
    """Finest and coarsest pixels that it is meant for."""
    normalisation: str
    """What is done to reflectance, and to NaN, before the model sees it; in words."""
    lattice: Lattice
    classes: tuple[Code, ...]
    """The code that each of the model's K classes stands for, in the order of its scores. Classes
    of one code share its probability."""
    scores: Scores
    """What `Model.predict` returns."""
    weights: str
    """Origin of the weights, in words."""
    weights_sha256: str
    licence: str
    source: str
    """Publication or project."""
    accuracy: str
    """Published accuracy with its source, and what flatters it."""
    caveats: str = ""
    """What it is known to get wrong, and where it is at its best, in words."""
    batch: int = 1
    """How many windows to give to `Model.predict` at once; it changes no pixel. 1: each thread calls the
    model itself."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Settings that change its pixels, defaults included; part of the fingerprint."""
    best_m: float | None = None
    """Pixels from which it masks best, or as well as from finer ones; None: nobody has compared."""
    pixel_m: float | None = None
    """Pixels from which a run lets it mask; part of the fingerprint. None: those of the grid."""

    @property
    def limits(self) -> str:
        """What it cannot do, in words: classes that it lacks, and its caveats."""
        lacks = [word for code, word in MAY_LACK.items() if code not in self.classes]
        *most, last = lacks or [""]
        named = f"{', '.join(most)} or {last}" if most else last
        return "; ".join(each for each in (named and f"no {named} class", self.caveats) if each)


class Model(Protocol):
    """The seam between `mask` and `models`.

    Several threads may call an instance at once. The same window has the same scores, bit for bit,
    whatever other windows are in its batch or were scored before.
    """

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        ...

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score windows.

        Parameters
        ----------
        windows
            (N, B, H, W) = (windows, roles of the card, ``window_px``, ``window_px``), float32
            reflectance, NaN = no data, never infinite. Not to be written to.

        Returns
        -------
        (N, K, H, W) float32, one score for every class of the card, finite; any value where a band is
        NaN, for the mask room writes no data there.
        """
        ...


Then = Callable[[Any, Any], tuple[Any, ...]]
"""Takes scores (n, K, H, W) float32 and arrays (n, …) that belong to the same windows, all of one library and on
one device; returns arrays (n, …) of that library and device."""


@runtime_checkable
class DeviceModel(Model, Protocol):
    """A model whose scores can be processed on its device, so that only the result is copied back."""

    def predict_then(
        self, windows: NDArray[np.float32], beside: NDArray[Any], then: Then
    ) -> tuple[NDArray[Any], ...]:
        """Score windows, and process the scores on the device.

        Parameters
        ----------
        windows
            As of `predict`, N of them, none of them without data.
        beside
            (N, …), arrays that belong to the windows.
        then
            Processes some of the windows at a time, on the device.

        Returns
        -------
        What `then` returned, for all windows.
        """
        ...


class Device(Protocol):
    """The seam between `composite` and what it may compute on: with a memory of its own; picklable, thread-safe."""

    def free_bytes(self) -> int:
        """Return how much of its memory is free."""
        ...

    def run(
        self, work: Callable[..., tuple[Any, ...]], arrays: Sequence[NDArray[Any]]
    ) -> tuple[NDArray[Any], ...]:
        """Copy arrays to the device, compute, and copy the results back.

        Parameters
        ----------
        work
            Takes the arrays in their order, and returns arrays, all of the device's library.
        arrays
            What to copy, of any shape.

        Raises
        ------
        MemoryError
            The device has not the memory.
        """
        ...
