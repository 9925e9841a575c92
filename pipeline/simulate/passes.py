"""Settings of an archive, and the satellite passes of its summer.

::

    ArchiveSettings ─▶ Pass…      when, which satellite, which clouds, where the swath ends
                        └ Processing…   how the ground segment wrote the pixels, once or twice
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError
from pipeline.simulate.clouds import Cover
from pipeline.simulate.grids import PIXEL_M, Window, landscape_window
from pipeline.simulate.physics.sun import Sun, sun_at

LONGITUDE, LATITUDE = 11.74, 48.18
"""Middle of the landscape, for the sun."""

SIZE_STEP_PX = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """Settings of an archive; invalid ones raise `ConfigError`."""

    seed: int = 7
    size_px: int = 1536
    """Edge of the landscape in 10 m pixels; a multiple of 48, at least 144."""
    start: date = date(2023, 6, 1)
    end: date = date(2023, 9, 1)
    """First day after the summer."""
    sentinel2_dates: int = 12
    landsat_dates: int = 4

    def __post_init__(self) -> None:
        if self.size_px < 144 or self.size_px % SIZE_STEP_PX:
            raise ConfigError(
                f"size_px is a multiple of {SIZE_STEP_PX} and at least 144, not {self.size_px}"
            )
        if self.seed < 0:
            raise ConfigError(f"a seed is not negative: {self.seed}")
        for name, wanted, possible in (
            ("sentinel2_dates", self.sentinel2_dates, len(_days(self, 2, 5))),
            ("landsat_dates", self.landsat_dates, len(_days(self, 5, 8))),
        ):
            if not 0 <= wanted <= possible:
                raise ConfigError(
                    f"{name} is {wanted}; {self.start} to {self.end} has room for 0 to {possible}"
                )

    def to_dict(self) -> dict[str, int | str]:
        """Return plain JSON values."""
        return {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Processing:
    """One processing of a Sentinel-2 pass, and what its metadata say of it."""

    sequence: int
    """Last but one part of the item's id."""
    baseline: str
    offset_in_pixels: int
    """What was added to 10 000 × reflectance in the files."""
    offset_applied: bool
    """``earthsearch:boa_offset_applied``: the archive took the +1000 out of the pixels."""
    listed_offset: float
    """``offset`` of ``raster:bands``; Earth Search lists -0.1 even where it was applied."""
    generated_after: timedelta
    """From the pass to the processing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwathEdge:
    """The end of the swath: a straight line across the landscape."""

    crossing: float
    """Where it crosses the landscape's middle row, as a share of the width."""
    keep: Literal["west", "east"]

    def covers(self, window: Window, size_px: int) -> NDArray[np.bool_]:
        """Say which pixels of a raster, by their centres, were seen."""
        rows = np.arange(window.height, dtype=np.float64)[:, None] + 0.5
        columns = np.arange(window.width, dtype=np.float64)[None, :] + 0.5
        y = window.north_m - rows * window.pixel_m
        x = window.west_m + columns * window.pixel_m
        east_of: NDArray[np.bool_] = x >= self.line_x(y, size_px)
        return east_of if self.keep == "east" else ~east_of

    def line_x(self, y: NDArray[np.float64], size_px: int) -> NDArray[np.float64]:
        """Return the easting of the edge at northings `y`, in metres."""
        landscape = landscape_window(size_px)
        middle = landscape.north_m - size_px * PIXEL_M / 2
        # A descending sun-synchronous orbit runs about 14° west of south here.
        return (
            landscape.west_m
            + self.crossing * size_px * PIXEL_M
            + (y - middle) * math.tan(math.radians(14))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Overflight:
    """One overflight."""

    index: int
    """Position in the archive's passes of this sensor."""
    sensor: Literal["sentinel-2", "landsat"]
    platform: str
    """``S2A``, ``S2B``, ``LC08`` or ``LC09``."""
    instant: datetime
    """UTC, when the first tile was seen."""
    covers: tuple[Cover, ...]
    tiles: tuple[str, ...] = ()
    edge: SwathEdge | None = None
    processings: tuple[Processing, ...] = ()

    @property
    def sun(self) -> Sun:
        """Direction of the sun."""
        return sun_at(self.instant, LONGITUDE, LATITUDE)

    def rng(self, seed: int) -> np.random.Generator:
        """Return the random numbers of this pass, which do not depend on other passes."""
        return np.random.default_rng(
            [seed, 3 if self.sensor == "sentinel-2" else 4, self.index]
        )


TILES = ("32UPU", "32UQU")
"""MGRS-like tiles, from west to east."""

OLD = Processing(
    sequence=0,
    baseline="03.01",
    offset_in_pixels=0,
    offset_applied=False,
    listed_offset=0.0,
    generated_after=timedelta(hours=4),
)
APPLIED = Processing(
    sequence=0,
    baseline="05.09",
    offset_in_pixels=0,
    offset_applied=True,
    listed_offset=-0.1,
    generated_after=timedelta(hours=5),
)
APPLIED_AND_LISTED = Processing(
    sequence=0,
    baseline="05.09",
    offset_in_pixels=0,
    offset_applied=True,
    listed_offset=0.0,
    generated_after=timedelta(hours=6),
)
SHIFTED = Processing(
    sequence=0,
    baseline="05.09",
    offset_in_pixels=1000,
    offset_applied=False,
    listed_offset=-0.1,
    generated_after=timedelta(hours=5),
)
REPROCESSED = Processing(
    sequence=1,
    baseline="05.00",
    offset_in_pixels=0,
    offset_applied=True,
    listed_offset=-0.1,
    generated_after=timedelta(days=400),
)

_ENCODINGS: tuple[tuple[Processing, ...], ...] = (
    (APPLIED,),
    (OLD, REPROCESSED),
    (SHIFTED,),
    (APPLIED_AND_LISTED,),
    (OLD,),
    (SHIFTED,),
    (APPLIED,),
    (SHIFTED,),
    (APPLIED_AND_LISTED,),
    (OLD,),
    (APPLIED,),
    (SHIFTED,),
)


def _sky(
    *layers: tuple[Literal["cumulus", "stratocumulus", "stratus", "cirrus"], float],
) -> tuple[Cover, ...]:
    return tuple(Cover(kind=kind, share=share) for kind, share in layers)


_SENTINEL2_SKIES = (
    _sky(("cumulus", 0.04)),
    _sky(("cumulus", 0.28)),
    _sky(("stratus", 0.96)),
    _sky(("cumulus", 0.42)),
    _sky(("cumulus", 0.24)),
    _sky(("cirrus", 0.25)),
    _sky(),
    _sky(("stratocumulus", 0.60)),
    _sky(("cumulus", 0.55)),
    _sky(("cumulus", 0.22), ("cirrus", 0.12)),
    _sky(("cumulus", 0.03)),
    _sky(("cumulus", 0.32)),
)
_LANDSAT_SKIES = (
    _sky(("cumulus", 0.30)),
    _sky(("cumulus", 0.03)),
    _sky(("cumulus", 0.45)),
    _sky(("cumulus", 0.20), ("cirrus", 0.10)),
)

_EDGES = {
    2: SwathEdge(crossing=0.72, keep="west"),
    4: SwathEdge(crossing=0.30, keep="east"),
    8: SwathEdge(crossing=0.80, keep="west"),
    11: SwathEdge(crossing=0.22, keep="east"),
}
_MISSING = {7: "32UQU"}
"""Sentinel-2 dates, by position, on which a tile was never published."""


def passes(settings: ArchiveSettings) -> tuple[Overflight, ...]:
    """Return all overflights of the summer, Sentinel-2 before Landsat, each by time."""
    return (*_sentinel2_passes(settings), *_landsat_passes(settings))


def _sentinel2_passes(settings: ArchiveSettings) -> list[Overflight]:
    days = _days(settings, 2, 5)
    found = []
    for index, orbit in enumerate(_spread(len(days), settings.sentinel2_dates)):
        missing = _MISSING.get(index)
        found.append(
            Overflight(
                index=index,
                sensor="sentinel-2",
                platform="S2A" if orbit % 2 == 0 else "S2B",
                instant=datetime.combine(days[orbit], time(10, 27, 44), UTC),
                covers=_SENTINEL2_SKIES[index % len(_SENTINEL2_SKIES)],
                tiles=tuple(tile for tile in TILES if tile != missing),
                edge=_EDGES.get(index),
                processings=_ENCODINGS[index % len(_ENCODINGS)],
            )
        )
    return found


def _landsat_passes(settings: ArchiveSettings) -> list[Overflight]:
    days = _days(settings, 5, 8)
    return [
        Overflight(
            index=index,
            sensor="landsat",
            platform="LC08" if orbit % 2 == 0 else "LC09",
            instant=datetime.combine(days[orbit], time(10, 3, 12), UTC),
            covers=_LANDSAT_SKIES[index % len(_LANDSAT_SKIES)],
        )
        for index, orbit in enumerate(_spread(len(days), settings.landsat_dates))
    ]


def _days(settings: ArchiveSettings, first: int, cycle: int) -> list[date]:
    """Return the days on which a pair of satellites passes."""
    length = (settings.end - settings.start).days
    return [settings.start + timedelta(days=day) for day in range(first, length, cycle)]


def _spread(possible: int, wanted: int) -> list[int]:
    """Choose some of the passes, evenly."""
    return [int((index + 0.5) * possible / wanted) for index in range(wanted)]
