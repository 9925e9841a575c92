"""The ground: fields, woods, roads, villages, a river and lakes on gentle relief, through the summer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.bands import ROLES, SPECTRA
from pipeline.simulate.physics.noise import Floats, Spectrum, noise
from pipeline.simulate.physics.sun import Sun

FIELD_M = 420.0
ROAD_CELL_M = 1700.0

SPECIAL = ("asphalt", "roof", "garden", "lake", "river")
"""Surfaces that are not parcels; their labels follow those of fields and woods."""

CROPS: tuple[tuple[str, float, float, float], ...] = (
    ("cereal", 95, 192, 0.30),
    ("rape", 85, 186, 0.12),
    ("maize", 168, 265, 0.22),
    ("beet", 150, 290, 0.10),
    ("grass", 60, 320, 0.26),
)
"""Crop, day of year of half emergence and of half ripeness, share of the fields."""

SOILS = ("loam", "peat", "marl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Landscape:
    """The ground of one archive; all planes (Y, X) at 10 m."""

    labels: NDArray[np.int32]
    """Row of the table of spectra that a pixel takes."""
    texture: Floats
    """Brightness within a parcel, around 1."""
    slope_east: Floats
    slope_north: Floats
    """Rise over run."""
    parcels: int
    """Number of parcels: field p has label p, a wood on it `parcels` + p."""
    seed: int

    def reflectance(self, day_of_year: float) -> dict[str, Floats]:
        """Return the clean surface of a day: role -> (Y, X)."""
        table = _table(self.seed, self.parcels, day_of_year)
        return {
            role: np.take(table[:, column], self.labels) * self.texture
            for column, role in enumerate(ROLES)
        }

    @property
    def water(self) -> NDArray[np.bool_]:
        """Return where lakes and rivers are."""
        first = 2 * self.parcels
        wet = [first + SPECIAL.index(name) for name in ("lake", "river")]
        found: NDArray[np.bool_] = np.isin(self.labels, wet)
        return found

    def illumination(self, sun: Sun) -> Floats:
        """Return direct sunlight on the slopes, 1 = on flat ground."""
        towards = self.slope_east * math.sin(sun.azimuth) + self.slope_north * math.cos(
            sun.azimuth
        )
        lit = np.maximum(1 - sun.tangent * towards, 0.1) * self._level
        return np.asarray(lit, dtype=np.float32)

    @property
    def sky_view(self) -> Floats:
        """Return the share of the sky that a slope sees."""
        return np.asarray((1 + self._level) / 2, dtype=np.float32)

    @property
    def _level(self) -> Floats:
        """Return the cosine of the slope."""
        rise = self.slope_east**2 + self.slope_north**2
        return np.asarray(1 / np.sqrt(1 + rise), dtype=np.float32)


def make_landscape(seed: int, size_px: int, pixel_m: float) -> Landscape:
    """Draw a landscape; the same seed gives the same ground."""
    rng = np.random.default_rng([seed, 1])
    ground = _Ground(rng, size_px, pixel_m)
    parcel, _ = _voronoi(ground, FIELD_M, aspect=1.6, jitter=0.38)
    parcels = int(parcel.max()) + 1
    labels = parcel.copy()
    wood = _woods(ground, parcel, parcels)
    labels[wood] += parcels
    for name, where in _specials(ground, wood).items():
        labels[where] = 2 * parcels + SPECIAL.index(name)
    east, north = _slopes(ground)
    return Landscape(
        labels=labels,
        texture=_texture(ground, labels, parcels),
        slope_east=east,
        slope_north=north,
        parcels=parcels,
        seed=seed,
    )


@dataclass(frozen=True, slots=True)
class _Ground:
    rng: np.random.Generator
    size_px: int
    pixel_m: float

    def noise(self, beta: float, scale_m: float) -> Floats:
        shape = (self.size_px, self.size_px)
        return noise(self.rng, shape, Spectrum(beta, scale_m), self.pixel_m)

    def axes(self) -> tuple[Floats, Floats]:
        """Return metres along y, as a column, and along x, as a row."""
        along = np.arange(self.size_px, dtype=np.float32) * np.float32(self.pixel_m)
        return along[:, None], along[None, :]


# -- what lies where ---------------------------------------------------------------------------


def _voronoi(
    ground: _Ground, cell_m: float, *, aspect: float, jitter: float
) -> tuple[NDArray[np.int32], Floats]:
    """Return Chebyshev Voronoi cells of a warped, rotated, jittered lattice.

    Returns
    -------
    Labels, (Y, X), and how far a pixel is from the nearest border, in metres, roughly.
    """
    y, x = ground.axes()
    angle = float(ground.rng.uniform(0.15, 0.6))
    warped_y = y + 0.25 * cell_m * ground.noise(5.0, 4000)
    warped_x = x + 0.25 * cell_m * ground.noise(5.0, 4000)
    u = (
        warped_x * np.float32(math.cos(angle)) + warped_y * np.float32(math.sin(angle))
    ) / cell_m
    v = (
        warped_y * np.float32(math.cos(angle)) - warped_x * np.float32(math.sin(angle))
    ) / cell_m
    v *= np.float32(aspect)
    u, v = u - (u.min() - 2), v - (v.min() - 2)
    rows, columns = int(v.max()) + 3, int(u.max()) + 3
    seeds = 0.5 + ground.rng.uniform(-jitter, jitter, (2, rows * columns)).astype(np.float32)
    return _nearest(u, v, columns, seeds, cell_m)


def _nearest(
    u: Floats, v: Floats, columns: int, seeds: Floats, cell_m: float
) -> tuple[NDArray[np.int32], Floats]:
    column, row = u.astype(np.int32), v.astype(np.int32)
    nearest = np.full(u.shape, np.inf, dtype=np.float32)
    second = nearest.copy()
    label = np.zeros(u.shape, dtype=np.int32)
    u, v = u - column, v - row
    home = row * columns + column
    for step_v in (-1, 0, 1):
        for step_u in (-1, 0, 1):
            cell = home + (step_v * columns + step_u)
            distance = np.maximum(
                np.abs(u - step_u - seeds[0].take(cell)),
                np.abs(v - step_v - seeds[1].take(cell)),
            )
            second = np.minimum(second, np.maximum(nearest, distance))
            closer = distance < nearest
            label = np.where(closer, cell, label)
            nearest = np.minimum(nearest, distance)
    return label, (second - nearest) * np.float32(cell_m / 2)


def _woods(ground: _Ground, parcel: NDArray[np.int32], parcels: int) -> NDArray[np.bool_]:
    # The parcel's own offset makes woods end at parcel borders, in compact patches.
    offset = ground.rng.normal(0, 0.45, parcels).astype(np.float32)
    field = ground.noise(3.6, 5000) + offset.take(parcel)
    wood: NDArray[np.bool_] = field > np.quantile(field[::3, ::3], 0.70)
    return wood


def _specials(ground: _Ground, wood: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """Return what overlies fields and woods; later entries win."""
    _, to_road = _voronoi(ground, ROAD_CELL_M, aspect=1.0, jitter=0.38)
    town = ground.noise(3.0, 900) + 0.5 * ground.noise(3.6, 5000)
    village = (town > np.quantile(town[::3, ::3], 0.965)) & ~wood
    built = ground.noise(1.4, 60) > 0.3
    deep = ground.noise(4.8, 2500)
    meander = ground.noise(4.8, 7000)
    dy, dx = np.gradient(meander, ground.pixel_m)
    from_river = np.abs(meander) / np.maximum(np.hypot(dy, dx), 1e-5)
    return {
        "garden": village & ~built,
        "roof": village & built,
        "asphalt": to_road < 8,
        "lake": deep > np.quantile(deep[::3, ::3], 0.988),
        "river": from_river < 35,
    }


def _slopes(ground: _Ground) -> tuple[Floats, Floats]:
    elevation = 120 * (0.26 * ground.noise(5.0, 6000) - 0.06 * np.abs(ground.noise(4.6, 3000)))
    down_rows, east = np.gradient(elevation.astype(np.float32), ground.pixel_m)
    # Small landscapes squeeze the same relief into less room: keep to gentle slopes everywhere.
    steep = float(np.quantile(np.hypot(down_rows, east), 0.99))
    gentle = np.float32(min(1.0, math.tan(math.radians(6)) / steep))
    return np.float32(gentle) * np.asarray(east), -np.float32(gentle) * np.asarray(down_rows)


def _texture(ground: _Ground, labels: NDArray[np.int32], parcels: int) -> Floats:
    """Return brightness within parcels: crowns in woods, rows and soil patches in fields."""
    fine = np.full(2 * parcels + len(SPECIAL), 0.03, dtype=np.float32)
    coarse = np.full_like(fine, 0.06)
    fine[parcels : 2 * parcels] = 0.10
    coarse[parcels : 2 * parcels] = 0.05
    fine[2 * parcels :] = (0.10, 0.22, 0.12, 0.02, 0.03)
    coarse[2 * parcels :] = (0.03, 0.05, 0.05, 0.05, 0.05)
    lumps = fine.take(labels) * ground.noise(1.6, 50) + coarse.take(labels) * ground.noise(
        3.0, 300
    )
    return np.asarray(np.exp(lumps), dtype=np.float32)


# -- what it looks like on a day ---------------------------------------------------------------


def _table(seed: int, parcels: int, day_of_year: float) -> Floats:
    """Return the spectra of all labels on a day: (label, role)."""
    rng = np.random.default_rng([seed, 2])
    special = [
        SPECTRA.get(name, 0.6 * SPECTRA["grass"] + 0.4 * SPECTRA["loam"]) for name in SPECIAL
    ]
    return np.concatenate(
        [
            _field_spectra(rng, parcels, day_of_year),
            _wood_spectra(rng, parcels),
            np.stack(special),
        ]
    ).astype(np.float32)


def _field_spectra(rng: np.random.Generator, parcels: int, day: float) -> Floats:
    crop = rng.choice(len(CROPS), parcels, p=[share for *_, share in CROPS])
    emergence = np.array([each[1] for each in CROPS])[crop] + rng.normal(0, 7, parcels)
    ripeness = np.array([each[2] for each in CROPS])[crop] + rng.normal(0, 7, parcels)
    # Mown meadows and thin stands keep some of the ground in view.
    fullness = rng.uniform(0.72, 0.97, parcels)
    cover = fullness * (_logistic(day, emergence, 9.0) - _logistic(day, ripeness, 7.0))
    harvested = _logistic(day, ripeness + 6, 3.0)[:, None]
    soil = np.stack([SPECTRA[name] for name in SOILS])[rng.integers(len(SOILS), size=parcels)]
    bare = (1 - harvested) * soil + harvested * SPECTRA["stubble"]
    plant = np.stack([SPECTRA[name] for name, *_ in CROPS])[crop]
    brightness = np.exp(rng.normal(0, 0.08, (parcels, 1)))
    spectra = brightness * (cover[:, None] * plant + (1 - cover[:, None]) * bare)
    return np.asarray(spectra, dtype=np.float32)


def _wood_spectra(rng: np.random.Generator, parcels: int) -> Floats:
    leafy = np.clip(rng.normal(0.45, 0.4, (parcels, 1)), 0, 1)
    brightness = np.exp(rng.normal(0, 0.06, (parcels, 1)))
    spectra = brightness * (leafy * SPECTRA["deciduous"] + (1 - leafy) * SPECTRA["conifer"])
    return np.asarray(spectra, dtype=np.float32)


def _logistic(day: float, middle: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip((day - middle) / width, -30, 30))))
