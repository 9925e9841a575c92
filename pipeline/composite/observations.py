"""The seam between blocks of pixels and the methods that compose them.

A method never meets a cloud: `equally_often` sorts the pixels of a strip by how often they were seen
and packs their usable observations densely, in order of time. What is left for a method is arithmetic
along one axis without gaps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float64]

OPTIONAL = (
    "day",
    "sensor",
    "to_cloud_m",
    "to_shadow_m",
    "confidence",
    "view_deg",
    "reference",
    "middle",
)
"""Fields of `Observations` that a method must ask for (`Method.needs`)."""


PIECE_BYTES = 2**20
"""Observations that a method gets at a time, at most: several copies fit a processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """What was seen of N pixels, T observations of each, in B bands.

    A method gets those of pixels that were seen equally often: all are usable, finite in all bands,
    and in order of time, T >= 1. The time of one pixel's first observation is not that of another's.
    """

    roles: tuple[str, ...]
    """The B bands, named as in `pipeline.sensors`."""
    bands: NDArray[np.float32]
    """(T, B, N) reflectance; in memory band by band, so that ``bands[:, b]`` is contiguous."""
    usable: NDArray[np.bool_]
    """(T, N)."""
    day: NDArray[np.int32] | None = None
    """(T, N) days since 1970-01-01."""
    sensor: NDArray[np.str_] | None = None
    """(T, N) names of sensors."""
    to_cloud_m: NDArray[np.float32] | None = None
    """(T, N) metres to the nearest cloud of the scene, inf = none in reach."""
    to_shadow_m: NDArray[np.float32] | None = None
    """(T, N) metres to the nearest cloud shadow."""
    confidence: NDArray[np.uint8] | None = None
    """(T, N) per-cent probability of the mask's class; 0 = not recorded."""
    view_deg: NDArray[np.float32] | None = None
    """(T, N) view zenith angle in degrees; NaN = unknown."""
    reference: NDArray[np.float32] | None = None
    """(B, N) what the ground looks like in this season."""
    middle: float | None = None
    """The middle of the period, days since 1970-01-01."""

    def band(self, role: str) -> NDArray[np.float32]:
        """Return (T, N) reflectance of one role."""
        return self.bands[:, self.roles.index(role)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """What a method makes of observations."""

    values: Floats
    """(B, N), each within its observations. Float64 where it can be told apart from float32: which
    observation is nearest is decided before values are rounded."""
    chosen: NDArray[np.intp] | None = None
    """(N,) the observation that the values are; none: `day` and `source` are those of the nearest one."""
    layers: Mapping[str, Floats] = field(default_factory=dict)
    """(N,) each: what the method's `layers` names, e.g. ``score``."""


class Method(Protocol):
    """How the usable observations of a pixel become one value a band.

    A frozen dataclass whose fields are the method's options. A pixel's values depend on its own
    observations alone, to the bit, however many pixels are composed together.
    """

    @property
    def needs(self) -> Collection[str]:
        """Return which of `OPTIONAL` it reads; what it does not name is None."""
        ...

    @property
    def wants(self) -> Collection[str]:
        """Return the roles that it cannot do without."""
        ...

    @property
    def layers(self) -> Mapping[str, str]:
        """Return name -> description of what it gives besides its values, float32."""
        ...

    def compose(self, seen: Observations) -> Composed:
        """Compose pixels that were seen equally often."""
        ...


class Plain:
    """A method that needs only the bands, whichever they are, and gives only values."""

    __slots__ = ()

    @property
    def needs(self) -> Collection[str]:
        """See `Method`."""
        return ()

    @property
    def wants(self) -> Collection[str]:
        """See `Method`."""
        return ()

    @property
    def layers(self) -> Mapping[str, str]:
        """See `Method`."""
        return {}

    @property
    def reach_m(self) -> float:
        """Return how far from a pixel clouds and shadows count, in metres; 0: nowhere."""
        return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The K pixels of a strip that have n usable observations, n >= 1."""

    pixels: NDArray[np.intp]
    """(K,) positions in the strip."""
    seen: Observations
    """Theirs, T = n and N = K."""
    at: NDArray[np.intp]
    """(n, K) positions of the observations in the strip's flat (T, N)."""


def on_pixels(known: xr.DataArray, usable: xr.DataArray) -> xr.DataArray:
    """Return (time, y, x) of what is known of each pixel, or of each scene."""
    if known.dims != ("time",):
        return known.transpose("time", "y", "x")
    each = known.to_numpy()[:, np.newaxis, np.newaxis]
    return xr.DataArray(np.broadcast_to(each, usable.shape), dims=usable.dims)


def equally_often(strip: Observations) -> Iterator[Group]:
    """Yield the pixels of a strip that have one usable observation, two, and so on.

    Parameters
    ----------
    strip
        Scenes in order of time. ``bands[:, b]`` is contiguous.
    """
    index, groups = _packed(strip.usable)
    flat = [strip.bands[:, b].reshape(-1) for b in range(len(strip.roles))]
    packed = np.empty((len(flat), index.size), np.float32)
    for band, to in zip(flat, packed, strict=True):
        # Without "clip" numpy fills a buffer first. Band by band, what is read fits the processor's cache.
        np.take(band, index, out=to, mode="clip")
    for n, pixels, start in groups:
        part, shape = slice(start, start + n * pixels.size), (n, pixels.size)
        at = index[part].reshape(shape)
        bands = packed[:, part].reshape(-1, *shape).transpose(1, 0, 2)
        for few in _pieces(bands):
            yield Group(
                pixels=pixels[few],
                at=at[:, few],
                seen=Observations(
                    roles=strip.roles,
                    bands=bands[:, :, few],
                    usable=np.ones(at[:, few].shape, np.bool_),
                    **_optional(strip, at[:, few], pixels[few]),
                ),
            )


def strips(n_px: int, step: int) -> Iterator[slice]:
    """Yield the pixels of a block, a few at a time."""
    for start in range(0, n_px, step):
        yield slice(start, min(start + step, n_px))


def _pieces(bands: NDArray[np.float32]) -> Iterator[slice]:
    """Yield the pixels of (T, B, N) that a method gets at a time."""
    n_times, n_bands, n_px = bands.shape
    step = max(PIECE_BYTES // (4 * n_times * n_bands), 1)
    for start in range(0, n_px, step):
        yield slice(start, start + step)


def _optional(
    strip: Observations, at: NDArray[np.intp], pixels: NDArray[np.intp]
) -> dict[str, Any]:
    there = {name: getattr(strip, name) for name in OPTIONAL}
    there = {name: each for name, each in there.items() if each is not None}
    if "reference" in there:
        there["reference"] = there["reference"][:, pixels]
    alike = ("reference", "middle")
    return {
        name: each if name in alike else each.reshape(-1)[at] for name, each in there.items()
    }


def _packed(
    usable: NDArray[np.bool_],
) -> tuple[NDArray[np.intp], list[tuple[int, NDArray[np.intp], int]]]:
    """Order the usable observations (T, N) by how many their pixel has, then by time, then by pixel.

    Returns
    -------
    Flat positions of the observations, and for each number n of observations that occurs n, its
    pixels, and where its n · K observations begin.
    """
    n_times, n_px = usable.shape
    count = np.count_nonzero(usable, axis=0)
    by_count = np.argsort(count, kind="stable")
    sizes = np.bincount(count, minlength=n_times + 1)
    starts = np.concatenate([[0], np.cumsum(np.arange(n_times + 1) * sizes)])
    firsts = np.concatenate([[0], np.cumsum(sizes)])
    # A pixel's next observation stands one row of its group after the one before.
    size, place = sizes[count], np.empty(n_px, np.intp)
    place[by_count] = (starts - firsts)[count[by_count]] + np.arange(n_px)
    from pipeline.composite.kernels.rows import place_usable  # noqa: PLC0415 -- numba takes long to import

    index = place_usable(usable, place, size, int(starts[-1]))
    groups = [
        (n, by_count[firsts[n] : firsts[n + 1]], int(starts[n]))
        for n in range(1, n_times + 1)
        if sizes[n]
    ]
    return index, groups
