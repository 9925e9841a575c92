"""The ground of a patch: what covers it, how rough it is, and where water and snow are.

A kind of ground is a recipe: numbers of materials over the plane, each material a pair of spectra between which
a smooth field mixes (bare to grown, wet to dry), with its own brightness and tint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.bands import Band
from pipeline.simulate.patches.fields import Canvas
from pipeline.simulate.patches.spectra import seen_by
from pipeline.simulate.physics.noise import Floats
from pipeline.simulate.physics.sun import Sun

GROUNDS: Mapping[str, float] = {
    "farmland": 0.18,
    "forest": 0.12,
    "rangeland": 0.10,
    "desert": 0.09,
    "city": 0.12,
    "coast": 0.08,
    "open water": 0.05,
    "snow": 0.10,
    "burnt": 0.05,
    "wetland": 0.05,
    "mountain": 0.06,
}
"""Kind of ground -> how often it is drawn."""

KEPT_BACK = ("salt flat", "sea ice")
"""Grounds that training leaves out unless it names them: for evaluation."""

Where = NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class Ground:
    """What lies on a patch; planes (Y, X)."""

    labels: NDArray[np.int16]
    """Row of `materials` that a pixel takes."""
    blend: Floats
    """How much of the second spectrum of its material a pixel has, 0 to 1."""
    texture: Floats
    """Brightness, about 1."""
    slope_east: Floats
    slope_north: Floats
    """Rise over run."""
    materials: list[tuple[str, str]] = field(default_factory=list)
    water: Where | None = None
    snow: Where | None = None
    glint: Floats | None = None
    """Reflectance that waves and foam add over water, at all wavelengths."""
    height_m: Floats | None = None
    """Of the relief, about a mean of zero."""

    def paint(self, where: Where, first: str, second: str | None = None) -> None:
        """Cover some pixels with one material."""
        self.labels[where] = len(self.materials)
        self.materials.append((first, second or first))

    def plots(
        self,
        canvas: Canvas,
        numbers: NDArray[np.int32],
        names: Sequence[tuple[str, str]],
        where: Where | None = None,
    ) -> None:
        """Give every number of a plane one of many variants of some materials."""
        start, variants = len(self.materials), 48
        self.materials += [names[i] for i in canvas.rng.integers(len(names), size=variants)]
        table = (start + canvas.rng.integers(variants, size=4096)).astype(np.int16)
        drawn = table.take(numbers)
        self.labels = drawn if where is None else np.where(where, drawn, self.labels)

    def flood(self, where: Where, first: str, second: str) -> None:
        """Cover some pixels with water."""
        self.paint(where, first, second)
        self.water = where if self.water is None else self.water | where

    def whiten(self, where: Where, first: str, second: str) -> None:
        """Cover some pixels with snow or ice."""
        self.paint(where, first, second)
        self.snow = where if self.snow is None else self.snow | where
        if self.water is not None:
            self.water = self.water & ~where

    def reflectance(self, canvas: Canvas, bands: Sequence[Band]) -> list[Floats]:
        """Return the clean surface in each band, (Y, X)."""
        one, two = (seen_by(bands, [pair[i] for pair in self.materials]) for i in (0, 1))
        rng, count = canvas.rng, len(self.materials)
        micrometres = np.array([band.wavelength_um for band in bands])
        tint = (micrometres / 0.7) ** rng.normal(0, 0.12, (count, 1))
        vary = (np.exp(rng.normal(0, 0.13, (count, 1))) * tint).astype(np.float32)
        one, two = one * vary, two * vary
        planes = []
        for column in range(len(bands)):
            base, rise = one[:, column], two[:, column] - one[:, column]
            plane = rise.astype(np.float32).take(self.labels) * self.blend
            plane += base.astype(np.float32).take(self.labels)
            plane *= self.texture
            if self.glint is not None:
                plane += self.glint
            planes.append(np.clip(plane, 5e-4, 0.99))
        return planes

    def illumination(self, sun: Sun) -> tuple[Floats, Floats]:
        """Return direct sunlight on the slopes, 1 = on flat ground, and the share of sky they see."""
        level = 1 / np.sqrt(1 + self.slope_east**2 + self.slope_north**2)
        towards = self.slope_east * np.float32(np.sin(sun.azimuth))
        towards += self.slope_north * np.float32(np.cos(sun.azimuth))
        lit = np.maximum(1 - np.float32(sun.tangent) * towards, 0.04) * level
        return lit.astype(np.float32), ((1 + level) / 2).astype(np.float32)


def waves(canvas: Canvas, ground: Ground) -> None:
    """Add sun glint and foam to the water, if there is any."""
    if ground.water is None or canvas.chance(0.4):
        return
    glint = np.exp(canvas.noise(3.5, 6000) * np.float32(0.4))
    glint *= np.float32(canvas.log_between(0.002, 0.08))
    foam = np.maximum(canvas.noise(1.2, 40) - np.float32(2.2), 0)
    glint = glint * np.exp(np.float32(0.15) * canvas.noise(2.0, 100))
    glint += np.float32(canvas.between(0, 0.1)) * foam
    ground.glint = np.where(ground.water, glint, np.float32(0))
