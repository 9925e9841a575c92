"""Recipes of grounds: what lies where in farmland, cities, mountains and the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pipeline.simulate.patches.fields import Canvas, excess, parcels
from pipeline.simulate.patches.ground import Ground, Where, waves
from pipeline.simulate.patches.spectra import WATER
from pipeline.simulate.physics.noise import Floats


def lay(canvas: Canvas, kind: str) -> Ground:
    """Draw the ground of a kind."""
    size = canvas.size_px
    texture = np.float32(0.05) * canvas.noise(1.8, 60)
    texture += np.float32(canvas.between(0.04, 0.12)) * canvas.noise(3.0, 400)
    blend = canvas.noise(3.2, 2500) * np.float32(0.3) + np.float32(canvas.between(0.2, 0.8))
    steep = canvas.log_between(*_STEEPNESS.get(kind, (0.01, 0.08)))
    relief = canvas.noise(canvas.between(4.0, 4.8), canvas.log_between(1500, 8000))
    east, north, scale = _slopes(relief, steep)
    ground = Ground(
        labels=np.zeros((size, size), np.int16),
        blend=np.clip(blend, 0, 1),
        texture=np.exp(texture),
        slope_east=east,
        slope_north=north,
        height_m=relief * (scale * np.float32(2 * canvas.pixel_m)),
    )
    _KINDS[kind](canvas, ground, relief)
    if ground.water is not None:
        flat = np.where(ground.water, np.float32(0.0), np.float32(1.0))
        ground.slope_east *= flat
        ground.slope_north *= flat
        ground.texture = np.where(
            ground.water, ground.texture ** np.float32(0.3), ground.texture
        )
    return ground


_STEEPNESS: Mapping[str, tuple[float, float]] = {
    "mountain": (0.15, 0.5),
    "snow": (0.03, 0.4),
    "forest": (0.02, 0.25),
    "burnt": (0.02, 0.25),
    "rangeland": (0.02, 0.2),
    "desert": (0.01, 0.2),
    "open water": (0.001, 0.002),
    "sea ice": (0.001, 0.01),
    "salt flat": (0.001, 0.01),
    "city": (0.005, 0.04),
}
"""Root mean square of the slope, rise over run."""


def _slopes(relief: Floats, steep: float) -> tuple[Floats, Floats, np.float32]:
    """Return slopes to the east and to the north, and what makes slopes of the plane's rise over two pixels."""
    east = np.roll(relief, -1, axis=1) - np.roll(relief, 1, axis=1)
    north = np.roll(relief, 1, axis=0) - np.roll(relief, -1, axis=0)
    scale = np.float32(steep / max(float(np.sqrt((east[::3, ::3] ** 2).mean() * 2)), 1e-9))
    return east * scale, north * scale, scale


def _top(plane: Floats, share: float) -> Where:
    found: Where = excess(plane, share) > 0
    return found


# -- recipes -----------------------------------------------------------------------------------

_CROPS = (
    ("crop", "grass"),
    ("loam", "crop"),
    ("dark soil", "crop"),
    ("dry grass", "grass"),
    ("loam", "dry grass"),
    ("red soil", "crop"),
    ("dry grass", "loam"),
    ("crop", "crop"),
)
_ROOFS = (
    ("tiles", "tiles"),
    ("concrete", "tiles"),
    ("asphalt", "concrete"),
    ("metal roof", "concrete"),
    ("white roof", "concrete"),
    ("blue roof", "metal roof"),
    ("asphalt", "asphalt"),
    ("grass", "leaves"),
    ("dry grass", "leaves"),
    ("concrete", "loam"),
)


def _farmland(canvas: Canvas, ground: Ground, relief: Floats) -> None:
    numbers, edge = parcels(canvas, canvas.log_between(100, 700), canvas.between(1, 3), 60)
    some = canvas.rng.permutation(len(_CROPS))[: int(canvas.rng.integers(2, len(_CROPS)))]
    ground.plots(canvas, numbers, [_CROPS[i] for i in some])
    if canvas.chance(0.6):
        ground.paint(edge < canvas.between(3, 9), canvas.one_of("asphalt", "loam", "grass"))
    woods = canvas.noise(3.3, 3000)
    ground.paint(
        _top(woods, canvas.between(0, 0.4)), canvas.one_of("leaves", "needles"), "leaves"
    )
    if canvas.chance(0.15):
        greenhouses, _ = parcels(canvas, 80, 2)
        near = _top(canvas.noise(3.5, 2000), 0.1)
        ground.paint(near & (greenhouses % 3 == 0), "greenhouse", "white roof")
    if canvas.chance(0.4):
        _buildings(canvas, ground, _top(canvas.noise(3.2, 900), canvas.between(0.01, 0.06)))
    _lakes(canvas, ground, relief)


def _buildings(canvas: Canvas, ground: Ground, where: Where) -> None:
    block, street = parcels(canvas, canvas.between(70, 160), canvas.between(1, 2))
    house, _ = parcels(canvas, canvas.between(18, 60), canvas.between(1, 2))
    ground.plots(canvas, (block * 31 + house) % 4093, _ROOFS, where)
    ground.paint(where & (street < canvas.between(5, 14)), "asphalt", "concrete")


def _city(canvas: Canvas, ground: Ground, relief: Floats) -> None:
    ground.paint(
        np.ones_like(relief, bool), canvas.one_of("grass", "dry grass", "loam"), "leaves"
    )
    built = _top(canvas.noise(3.2, 4000), canvas.between(0.5, 1.0))
    _buildings(canvas, ground, built)
    # Halls, depots and quarries: large and bright.
    hall, gap = parcels(canvas, canvas.between(100, 300), canvas.between(1, 2))
    works = _top(canvas.noise(3.4, 1500), canvas.between(0.03, 0.2)) & (gap > 12)
    ground.plots(
        canvas,
        hall,
        [
            ("white roof", "white roof"),
            ("metal roof", "white roof"),
            ("concrete", "metal roof"),
        ],
        works & (hall % 3 > 0),
    )
    ground.paint(_top(canvas.noise(3.2, 1200), canvas.between(0.01, 0.15)), "leaves", "grass")
    _lakes(canvas, ground, relief)


def _forest(canvas: Canvas, ground: Ground, relief: Floats) -> None:
    main = canvas.one_of("leaves", "needles", "rainforest")
    ground.paint(np.ones_like(relief, bool), main, canvas.one_of("leaves", "needles"))
    ground.paint(_top(canvas.noise(3.2, 1800), canvas.between(0.1, 0.6)), "needles", "leaves")
    ground.paint(_top(canvas.noise(3.2, 1500), canvas.between(0, 0.25)), "grass", "shrub")
    if canvas.chance(0.4):
        cut, _ = parcels(canvas, canvas.between(150, 500), 1.5, 40)
        ground.paint(cut % 7 == 0, canvas.one_of("loam", "dry grass", "red soil"), "shrub")
    _lakes(canvas, ground, relief)


def _rangeland(canvas: Canvas, ground: Ground, relief: Floats) -> None:
    soil = canvas.one_of("loam", "red soil", "sand", "rock")
    ground.paint(np.ones_like(relief, bool), canvas.one_of("dry grass", "shrub", "grass"), soil)
    ground.paint(_top(canvas.noise(3.0, 1200), canvas.between(0.1, 0.5)), "shrub", soil)
    ground.paint(_top(canvas.noise(2.8, 500), canvas.between(0, 0.2)), "leaves", "shrub")
    ground.paint(_top(canvas.noise(3.2, 1500), canvas.between(0, 0.15)), soil, "bright sand")
    _lakes(canvas, ground, relief)


def _desert(canvas: Canvas, ground: Ground, relief: Floats) -> None:
    main = canvas.one_of("sand", "bright sand", "red soil", "rock")
    ground.paint(np.ones_like(relief, bool), main, canvas.one_of("sand", "bright sand", "rock"))
    ground.paint(_top(canvas.noise(3.2, 3000), canvas.between(0, 0.5)), "rock", "lava")
    ground.paint(_top(canvas.noise(3.6, 2500), canvas.between(0, 0.2)), "bright sand", "salt")
    ground.paint(_top(canvas.noise(2.8, 300), canvas.between(0, 0.1)), "shrub", "sand")
    if canvas.chance(0.5):
        dunes = canvas.noise(
            4.0, canvas.between(120, 500), canvas.between(2, 6), canvas.between(0, 3)
        )
        east, north, _ = _slopes(dunes, canvas.between(0.05, 0.3))
        ground.slope_east += east
        ground.slope_north += north


def _burnt(canvas: Canvas, ground: Ground, relief: Floats) -> None:
    (_forest if canvas.chance(0.5) else _rangeland)(canvas, ground, relief)
    scar = _top(canvas.noise(3.4, canvas.log_between(1000, 6000)), canvas.between(0.05, 0.6))
    ground.paint(scar, "char", canvas.one_of("ash", "char", "loam"))
    ground.paint(scar & _top(canvas.noise(3.0, 500), 0.15), "leaves", "shrub")


def _wetland(canvas: Canvas, ground: Ground, relief: Floats) -> None:
    ground.paint(
        np.ones_like(relief, bool), "grass", canvas.one_of("dark soil", "crop", "shrub")
    )
    ground.paint(_top(canvas.noise(3.2, 900), 0.3), "dark soil", "grass")
    where = _top(canvas.noise(canvas.between(2.8, 3.6), 1500), canvas.between(0.1, 0.6))
    ground.flood(where, _some_water(canvas), _some_water(canvas))


def _coast(canvas: Canvas, ground: Ground, relief: Floats) -> None:
    inland = (_farmland, _forest, _rangeland, _desert, _city)
    inland[int(canvas.rng.integers(len(inland)))](canvas, ground, relief)
    height = canvas.noise(3.6, 8000) + np.float32(0.2) * relief
    share = canvas.between(0.2, 0.9)
    ground.paint(
        _top(height, min(share + 0.015, 1)), canvas.one_of("sand", "bright sand"), "sand"
    )
    sea = _top(height, share)
    ground.flood(
        sea, canvas.one_of("shallow water", "turbid water", "lake"), _some_water(canvas)
    )
    waves(canvas, ground)


def _open_water(canvas: Canvas, ground: Ground, relief: Floats) -> None:
    ground.flood(np.ones_like(relief, bool), _some_water(canvas), _some_water(canvas))
    waves(canvas, ground)


def _some_water(canvas: Canvas) -> str:
    return canvas.one_of(*WATER)


def _lakes(canvas: Canvas, ground: Ground, relief: Floats) -> None:
    if canvas.chance(0.5):
        return
    low = -relief + np.float32(0.25) * canvas.noise(3.0, 800)
    ground.flood(_top(low, canvas.log_between(0.005, 0.25)), _some_water(canvas), "lake")
    if canvas.chance(0.4):
        way = canvas.noise(4.6, 6000)
        ground.flood(np.abs(way) < canvas.between(0.005, 0.04), _some_water(canvas), "lake")


def _mountain(canvas: Canvas, ground: Ground, relief: Floats) -> None:
    rough = relief + np.float32(0.3) * canvas.noise(3.0, 600)
    ground.paint(np.ones_like(relief, bool), "needles", "leaves")
    ground.paint(_top(rough, canvas.between(0.2, 0.7)), "grass", "shrub")
    ground.paint(_top(rough, canvas.between(0.05, 0.3)), "rock", "lava")
    if canvas.chance(0.6):
        _some_snow(canvas, ground, _top(rough, canvas.between(0.02, 0.4)))
    _lakes(canvas, ground, relief)


def _snow(canvas: Canvas, ground: Ground, relief: Floats) -> None:
    grounds = (_farmland, _forest, _mountain, _rangeland)
    grounds[int(canvas.rng.integers(len(grounds)))](canvas, ground, relief)
    dark = _top(canvas.noise(2.8, 500), canvas.between(0, 0.5))
    lying = _top(relief + np.float32(0.4) * canvas.noise(3.0, 700), canvas.between(0.3, 1.0))
    _some_snow(canvas, ground, lying & ~dark)
    # A frozen lake is white, too; an open one stays dark.
    if ground.water is not None and canvas.chance(0.5):
        ground.whiten(ground.water, "ice", "fresh snow")


def _some_snow(canvas: Canvas, ground: Ground, where: Where) -> None:
    kinds = ("fresh snow", "old snow", "dirty snow", "fresh snow")
    ground.whiten(where, canvas.one_of(*kinds), canvas.one_of(*kinds))


def _salt_flat(canvas: Canvas, ground: Ground, relief: Floats) -> None:
    ground.paint(np.ones_like(relief, bool), "salt", "bright sand")
    ground.paint(_top(canvas.noise(3.2, 2000), 0.3), "salt", "salt")
    ground.paint(_top(canvas.noise(3.4, 3000), 0.15), "loam", "rock")


def _sea_ice(canvas: Canvas, ground: Ground, relief: Floats) -> None:
    ground.flood(np.ones_like(relief, bool), "deep water", "lake")
    floe, gap = parcels(canvas, canvas.log_between(200, 1500), 1.3, 200)
    if canvas.chance(0.5):
        there = (gap > canvas.between(5, 80)) & (floe % 5 > canvas.rng.integers(0, 3))
    else:  # packed, but for a few leads
        there = ~_top(canvas.noise(2.6, 2500), canvas.between(0, 0.05))
    ground.whiten(there, canvas.one_of("ice", "old snow"), canvas.one_of("ice", "fresh snow"))


_KINDS: Mapping[str, Callable[[Canvas, Ground, Floats], None]] = {
    "farmland": _farmland,
    "forest": _forest,
    "rangeland": _rangeland,
    "desert": _desert,
    "city": _city,
    "coast": _coast,
    "open water": _open_water,
    "snow": _snow,
    "burnt": _burnt,
    "wetland": _wetland,
    "mountain": _mountain,
    "salt flat": _salt_flat,
    "sea ice": _sea_ice,
}
