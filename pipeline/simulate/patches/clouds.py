"""Clouds of many kinds as the sky of a patch: where they are, how thick, how high, and what they shade.

A kind is a recipe of noise. Cover is where a field exceeds a threshold; optical depth grows with the excess,
by a power that is drawn anew: below one edges are steep, above one they fade out far. The fields' spectra are
those of observed clouds, whose outlines have a fractal dimension of about 1.35 (Lovejoy 1982; Cahalan and
Joseph 1989), so that edges are ragged down to the pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.simulate.patches.fields import Canvas, excess, smooth
from pipeline.simulate.physics.noise import Floats

MOST_TAU = 80.0
"""Largest optical depth: a thicker cloud looks the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """One layer of cloud over a patch."""

    tau: Floats
    """(Y, X) optical depth, 0 = no cloud."""
    base_m: float
    depth_m: float
    """Largest geometric thickness; a pixel's is in proportion to the root of its optical depth."""
    ice: bool = False


WEATHER: Mapping[str, float] = {
    "clear": 0.08,
    "haze": 0.06,
    "cumulus": 0.18,
    "popcorn": 0.10,
    "stratocumulus": 0.08,
    "stratus": 0.06,
    "altocumulus": 0.08,
    "cirrus": 0.10,
    "contrails": 0.04,
    "fog": 0.05,
    "deck": 0.03,
    "mixed": 0.14,
}
"""Kind of sky -> how often it is drawn."""

KEPT_BACK = ("streets", "lenticular")
"""Skies that training leaves out unless it names them: for evaluation."""


def sky(canvas: Canvas, kind: str) -> list[Cloud]:
    """Draw the clouds of a kind of sky, the highest first."""
    kinds = {"clear": (), "haze": (), "mixed": _mixture(canvas)}.get(kind, (kind,))
    clouds = [_KINDS[each](canvas) for each in kinds]
    return sorted(clouds, key=lambda cloud: -cloud.base_m)


def _mixture(canvas: Canvas) -> tuple[str, ...]:
    low = canvas.one_of("cumulus", "popcorn", "stratocumulus", "stratus", "fog")
    high = canvas.one_of("cirrus", "cirrus", "altocumulus", "contrails", "cumulus")
    return (low, high)


def _share(canvas: Canvas, most: float) -> float:
    return canvas.log_between(0.01, most)


def _edge(canvas: Canvas) -> float:
    """Draw the power by which optical depth grows from a cloud's edge inwards."""
    return canvas.between(0.5, 1.9)


def _thicken(canvas: Canvas, over: Floats, middle_tau: float) -> Floats:
    """Turn excess into optical depth whose mean where there is cloud is about `middle_tau`, with thin parts."""
    grown = over ** np.float32(_edge(canvas))
    cloudy = grown[::4, ::4]
    cloudy = cloudy[cloudy > 0]
    mean = float(cloudy.mean()) if cloudy.size else 1.0
    return np.asarray(grown * np.float32(middle_tau / max(mean, 1e-6)), np.float32)


def _frayed(canvas: Canvas, over: Floats, tau: Floats) -> Floats:
    """Fray a cloud: wisps round it, and holes and lumps within."""
    lumps = canvas.noise(canvas.between(2.6, 3.2), 700)
    tau = tau * np.exp(np.float32(canvas.between(0.15, 0.5)) * lumps)
    if canvas.chance(0.5):
        # Shreds that have come off: thin, and only near the cloud.
        near = smooth((over > 0).astype(np.float32), canvas.between(60, 300) / canvas.pixel_m)
        tau = tau + np.float32(canvas.between(0.3, 2.5)) * near * np.maximum(lumps - 0.6, 0)
    if canvas.chance(0.4):
        # What is dissolving or forming round it: a veil that fades far out.
        near = smooth((over > 0).astype(np.float32), canvas.between(80, 500) / canvas.pixel_m)
        veil = np.maximum(near, 0) ** np.float32(canvas.between(1, 2))
        tau = tau + np.float32(canvas.log_between(0.05, 1.5)) * veil * np.exp(0.5 * lumps)
    return np.asarray(tau, np.float32)


def _cumulus(canvas: Canvas) -> Cloud:
    field = canvas.noise(canvas.between(3.3, 4.4), canvas.log_between(600, 3500))
    field += np.float32(0.35) * canvas.noise(3.8, 12_000)
    over = excess(field, _share(canvas, 0.8))
    tau = _frayed(canvas, over, _thicken(canvas, over, canvas.log_between(4, 35)))
    return _cloud(tau, canvas.between(500, 2200), canvas.log_between(200, 2500))


def _popcorn(canvas: Canvas) -> Cloud:
    # Nobody could label a cloud that is smaller than a few pixels.
    size_m = max(canvas.between(150, 500), 4 * canvas.pixel_m)
    field = canvas.noise(canvas.between(3.4, 4.6), size_m)
    field += np.float32(canvas.between(0.2, 0.7)) * canvas.noise(3.6, 6000)
    over = excess(field, canvas.log_between(0.005, 0.3))
    tau = _frayed(canvas, over, _thicken(canvas, over, canvas.log_between(1.0, 18)))
    return _cloud(tau, canvas.between(400, 2500), canvas.between(0.4, 1.2) * size_m)


def _stratocumulus(canvas: Canvas) -> Cloud:
    field = -np.abs(canvas.noise(canvas.between(3.4, 4.4), canvas.between(800, 3500)))
    field += np.float32(0.2) * canvas.noise(3.0, 900)
    over = excess(field, canvas.between(0.15, 0.97))
    tau = _frayed(canvas, over, _thicken(canvas, over, canvas.log_between(4, 25)))
    return _cloud(tau, canvas.between(500, 2000), canvas.between(150, 500))


def _stratus(canvas: Canvas) -> Cloud:
    field = canvas.noise(4.0, 9000) + np.float32(0.15) * canvas.noise(3.2, 1500)
    over = excess(field, canvas.between(0.2, 0.98))
    tau = _thicken(canvas, over, canvas.log_between(2, 25))
    tau = tau * np.exp(np.float32(0.3) * smooth(canvas.noise(2.7, 8000), 80 / canvas.pixel_m))
    return _cloud(tau, canvas.between(300, 1500), canvas.between(150, 500))


def _deck(canvas: Canvas) -> Cloud:
    water = canvas.noise(canvas.between(2.7, 3.6), canvas.log_between(1000, 10_000))
    tau = np.float32(canvas.log_between(3, 50)) * np.exp(np.float32(0.4) * water)
    return _cloud(tau, canvas.between(500, 6000), canvas.between(300, 1500))


def _altocumulus(canvas: Canvas) -> Cloud:
    size_m, angle = canvas.between(200, 900), canvas.between(0, np.pi)
    field = canvas.noise(4.0, size_m, canvas.between(1, 3), angle)
    field += np.float32(canvas.between(0.4, 1.0)) * canvas.noise(3.6, 8000)
    over = excess(field, _share(canvas, 0.7))
    tau = _frayed(canvas, over, _thicken(canvas, over, canvas.log_between(0.8, 12)))
    return _cloud(tau, canvas.between(2500, 6000), canvas.between(100, 400))


def _cirrus(canvas: Canvas) -> Cloud:
    angle, stretch = canvas.between(0, np.pi), canvas.between(2, 9)
    field = canvas.noise(3.8, canvas.between(3000, 10_000), stretch, angle)
    field += np.float32(0.3) * canvas.noise(3.2, 2000, stretch, angle)
    over = excess(field, canvas.between(0.15, 0.95))
    tau = _thicken(canvas, over, canvas.log_between(0.12, 2.5))
    return _cloud(tau, canvas.between(6000, 12_000), 500.0, ice=True)


def _contrails(canvas: Canvas) -> Cloud:
    y, x = canvas.axes()
    tau = np.zeros((canvas.size_px, canvas.size_px), np.float32)
    ragged = canvas.noise(3.0, 800)
    angle = canvas.between(0, np.pi)
    for _ in range(int(canvas.rng.integers(1, 5))):
        turned = angle + canvas.between(-0.3, 0.3)
        half = canvas.size_px * canvas.pixel_m / 2
        off = x * np.float32(math.cos(turned)) + y * np.float32(math.sin(turned))
        width = np.float32(canvas.log_between(60, 700))
        off = (off - np.float32(canvas.between(-half, half))) / width + np.float32(0.3) * ragged
        across = np.exp(-(off**2))
        tau += (
            np.float32(canvas.log_between(0.15, 1.5)) * across * np.maximum(1 + 0.5 * ragged, 0)
        )
    return _cloud(tau, canvas.between(8000, 12_000), 300.0, ice=True)


def _fog(canvas: Canvas) -> Cloud:
    # Fog lies in what is low: smooth inside, with an edge where the ground rises.
    field = canvas.noise(canvas.between(3.4, 4.4), canvas.between(2000, 7000))
    over = excess(field, canvas.between(0.1, 0.8))
    tau = np.minimum(over * np.float32(4), 1) ** 1.5 * np.float32(canvas.log_between(1.0, 15))
    tau = tau * np.exp(np.float32(0.15) * canvas.noise(3.2, 1500))
    return _cloud(np.asarray(tau, np.float32), canvas.between(20, 150), 60.0)


def _streets(canvas: Canvas) -> Cloud:
    angle = canvas.between(0, np.pi)
    y, x = canvas.axes()
    across = x * np.float32(math.cos(angle)) + y * np.float32(math.sin(angle))
    rows = np.cos(across * np.float32(2 * np.pi / canvas.between(1500, 3500)))
    over = excess(rows + np.float32(0.7) * canvas.noise(3.6, 1000), canvas.between(0.1, 0.4))
    tau = _frayed(canvas, over, _thicken(canvas, over, canvas.log_between(4, 25)))
    return _cloud(tau, canvas.between(600, 1800), canvas.between(200, 900))


def _lenticular(canvas: Canvas) -> Cloud:
    field = canvas.noise(5.5, 5000, 3.0, canvas.between(0, np.pi))
    over = excess(field, canvas.between(0.05, 0.3))
    return _cloud(
        _thicken(canvas, over, canvas.log_between(2, 15)), canvas.between(3000, 7000), 400
    )


_KINDS: Mapping[str, Callable[[Canvas], Cloud]] = {
    "cumulus": _cumulus,
    "popcorn": _popcorn,
    "stratocumulus": _stratocumulus,
    "stratus": _stratus,
    "deck": _deck,
    "altocumulus": _altocumulus,
    "cirrus": _cirrus,
    "contrails": _contrails,
    "fog": _fog,
    "streets": _streets,
    "lenticular": _lenticular,
}


def _cloud(tau: Floats, base_m: float, depth_m: float, *, ice: bool = False) -> Cloud:
    tau = np.minimum(np.asarray(tau, np.float32), np.float32(MOST_TAU))
    # Thinner cloud is invisible.
    tau[tau < 5e-3] = 0
    return Cloud(tau=tau, base_m=base_m, depth_m=depth_m, ice=ice)
