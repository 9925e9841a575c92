"""Cloud fields: where a layer is, how thick, how high.

A field is drawn as noise; the sky is covered where it exceeds the quantile that gives the wanted
cover, and everything grows with the excess, so that clouds are thin and low at their edges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.simulate.physics.noise import Floats, Spectrum, blur, noise

Kind = Literal["cumulus", "stratocumulus", "stratus", "cirrus"]

EDGE_M = 25.0
"""Optical depth is smoothed over this distance: clouds have no edges as sharp as a pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """Settings of a layer."""

    kind: Kind
    share: float
    """Of the sky that it covers, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudLayer:
    """One layer of cloud."""

    tau: Floats
    """(Y, X) optical depth, 0 = no cloud."""
    depth_m: Floats
    """(Y, X) geometric thickness above `base_m`."""
    base_m: float
    ice: bool


@dataclass(frozen=True, slots=True)
class _Canvas:
    """The grid and the random numbers that a layer is drawn with."""

    rng: np.random.Generator
    shape: tuple[int, int]
    pixel_m: float

    def noise(
        self, beta: float, scale_m: float, stretch: float = 1.0, angle: float = 0.0
    ) -> Floats:
        spectrum = Spectrum(beta, scale_m, stretch, angle)
        return noise(self.rng, self.shape, spectrum, self.pixel_m)

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def finish(
        self, tau: Floats, depth_m: Floats | float, base_m: float, *, ice: bool = False
    ) -> CloudLayer:
        depth = np.broadcast_to(np.float32(depth_m), self.shape)
        smooth = np.maximum(blur(tau, EDGE_M / self.pixel_m), 0)
        # Fourier ringing and far Gaussian tails are no cloud.
        smooth[smooth < 1e-3] = 0
        if depth.strides != (0, 0):
            depth = np.maximum(blur(depth, EDGE_M / self.pixel_m), 0)
        return CloudLayer(tau=smooth, depth_m=depth, base_m=base_m, ice=ice)


def form(
    rng: np.random.Generator, shape: tuple[int, int], cover: Cover, pixel_m: float
) -> CloudLayer:
    """Draw a layer of cloud on the torus.

    Parameters
    ----------
    rng
        Where the randomness comes from.
    shape
        (Y, X).
    cover
        Kind and share.
    pixel_m
        Size of a pixel.
    """
    return _FORMS[cover.kind](_Canvas(rng, shape, pixel_m), cover.share)


def _excess(field: Floats, share: float) -> Floats:
    # Every third pixel is enough for a quantile, and sorting is dear.
    threshold = np.quantile(field[::3, ::3], 1 - share)
    return np.asarray(np.maximum(field - np.float32(threshold), 0), dtype=np.float32)


def _cumulus(canvas: _Canvas, share: float) -> CloudLayer:
    size_m = canvas.between(1000, 3200)
    field = (
        canvas.noise(4.6, size_m)
        + 0.3 * canvas.noise(4.0, 12_000)
        + 0.2 * canvas.noise(3.3, 600)
    )
    excess = _excess(field, share)
    lumps = np.exp(0.35 * canvas.noise(3.3, 600))
    tau = canvas.between(9, 24) * excess**0.9 * lumps
    depth = np.where(excess > 0, np.minimum(150 + 450 * np.sqrt(excess), 1200), 0)
    return canvas.finish(tau, depth.astype(np.float32), canvas.between(800, 1900))


def _stratocumulus(canvas: _Canvas, share: float) -> CloudLayer:
    field = -np.abs(canvas.noise(4.4, canvas.between(1500, 3000))) + 0.15 * canvas.noise(
        3.3, 600
    )
    excess = _excess(field, share)
    tau = canvas.between(14, 26) * excess**0.8
    depth = np.where(excess > 0, np.minimum(150 + 250 * np.sqrt(excess), 500), 0)
    return canvas.finish(tau, depth.astype(np.float32), canvas.between(900, 1700))


def _stratus(canvas: _Canvas, share: float) -> CloudLayer:
    excess = _excess(canvas.noise(4.6, 8000) + 0.1 * canvas.noise(3.6, 1500), share)
    # No deck is even: its water varies with a k^(-5/3) spectrum along a line (Cahalan and Snider
    # 1989), 8/3 in the plane; light wandering within the cloud smooths what is finer than about
    # 200 m (Marshak et al. 1995). Where there is more water, the top stands higher.
    water = blur(canvas.noise(8 / 3, 8000), 80 / canvas.pixel_m)
    tau = canvas.between(10, 22) * excess**0.6 * np.exp(0.45 * water)
    return canvas.finish(tau, np.clip(300 + 60 * water, 100, 500), canvas.between(400, 1000))


def _cirrus(canvas: _Canvas, share: float) -> CloudLayer:
    angle = canvas.between(0, np.pi)
    streaks = canvas.noise(4.0, 9000, 5.0, angle) + 0.25 * canvas.noise(3.3, 2500, 5.0, angle)
    tau = canvas.between(1.2, 3.0) * _excess(streaks, share) ** 1.2
    return canvas.finish(tau, 500.0, canvas.between(7500, 10_500), ice=True)


_FORMS: dict[Kind, Callable[[_Canvas, float], CloudLayer]] = {
    "cumulus": _cumulus,
    "stratocumulus": _stratocumulus,
    "stratus": _stratus,
    "cirrus": _cirrus,
}
