"""Ranks of each band by itself: the median and other percentiles.

Definition, band by band, of n usable observations sorted by value, x[0] ≤ … ≤ x[n−1]: percentile q is
found at h = (n−1)·q/100, between neighbours linearly: x[⌊h⌋] + (h−⌊h⌋)·(x[⌊h⌋+1] − x[⌊h⌋]). That is type 7
of Hyndman & Fan 1996 (doi:10.2307/2684934) and what numpy calls ``linear``. The median is q = 50: the
middle one for odd n, half the sum of the two middle ones for even n (exact, in float64). Half of the
observations may be wrong before the median has to follow them; a lower percentile bears more cloud
and less shadow.

Bands are independent of each other, so the spectrum of a pixel need not be one that was ever seen;
that is what the medoid and the geometric median are for.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from numpy.typing import NDArray

from pipeline.composite import device
from pipeline.composite.observations import Composed, Method, Observations, Plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Median(Plain):
    """The median of each band."""

    def compose(self, seen: Observations) -> Composed:
        """See `pipeline.composite.observations.Method`."""
        return Composed(values=middle(seen.bands))


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentile(Plain):
    """A percentile of each band."""

    q: float = 25.0
    """0 to 100."""

    def __post_init__(self) -> None:
        if not 0 <= self.q <= 100:
            raise ValueError(f"percentile q is {self.q}: expected 0 to 100")

    def compose(self, seen: Observations) -> Composed:
        """See `pipeline.composite.observations.Method`."""
        return Composed(values=percentile(seen.bands, self.q))


_TOGETHER_UP_TO = 256
"""Dates: of more, a network that sorts the gaps as well has more steps than packing saves."""
_BANDS = 16
"""So many the kernel gets, the last ones perhaps empty."""


def rank(method: Method, n_times: int, n_bands: int) -> float | None:
    """Return which percentile a method is, for `compose`, −1 for the median; None: `compose` cannot find it."""
    if n_times > _TOGETHER_UP_TO or n_bands > _BANDS:
        return None
    if isinstance(method, Percentile):
        return float(method.q)
    return -1.0 if isinstance(method, Median) else None


def as_they_lie(method: Method, n_times: int, n_bands: int) -> bool:
    """Return whether a method composes observations of so many scenes and bands without packing them."""
    return rank(method, n_times, n_bands) is not None


def compose(
    arrays: Sequence[NDArray[Any]],
    order: NDArray[np.intp],
    days: NDArray[np.int32],
    q: float,
    layers: NDArray[np.int32],
) -> None:
    """Compose a block, its observations as they lie: to the bit what they give packed, without packing.

    Parameters
    ----------
    arrays
        (T, N): B bands, the source, the usable.
    order, days
        (T,) positions by time, and days since 1970-01-01.
    q
        As `rank` says.
    layers
        (B + 3, N), written: values as the bits of float32; where there are observations count, day and source.
    """
    from pipeline.composite.kernels.ranks import Block, percentiles  # noqa: PLC0415 -- numba takes long to import

    n_times, n_bands = len(order), len(arrays) - 2
    last = n_times // 2 if q < 0 else min(int((n_times - 1) * q / 100) + 1, n_times - 1)
    none = [np.empty((0, 0), np.float32)] * (_BANDS - n_bands)
    block = Block(
        bands=(*(np.ascontiguousarray(each, np.float32) for each in arrays[:n_bands]), *none),
        n_bands=n_bands,
        source=np.ascontiguousarray(arrays[n_bands], np.int32),
        usable=np.ascontiguousarray(arrays[n_bands + 1]),
        order=order,
        days=days,
    )
    values, whence = layers[:n_bands].view(np.float32), layers[n_bands:]
    percentiles(block, _selection(n_times, last), q, values, whence)


def middle(bands: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the median along the first axis, (B, N) of (T, B, N)."""
    xp, ranked, n = array_namespace(bands), sort(bands), len(bands)
    # For odd n both are the same one, and half of its double is exact.
    found: NDArray[np.float64] = (
        xp.astype(ranked[(n - 1) // 2], xp.float64) + ranked[n // 2]
    ) * 0.5
    return found


def percentile(bands: NDArray[np.float32], q: float) -> NDArray[np.float64]:
    """Return (B, N) percentile `q`, 0 to 100, of (T, B, N)."""
    xp, ranked, n = array_namespace(bands), sort(bands), len(bands)
    place = (n - 1) * q / 100
    low = int(place)
    below: NDArray[np.float64] = xp.astype(ranked[low], xp.float64)
    return below + (place - low) * (ranked[min(low + 1, n - 1)] - below)


_NETWORK_UP_TO = 64
"""Beyond so many, a sorting network has more steps than numpy's sort of each pixel."""


def sort(bands: NDArray[np.float32]) -> Sequence[NDArray[np.float32]]:
    """Return T arrays (B, N), from the least to the largest of (T, B, N).

    By a sorting network: the same least and largest are taken of whole rows, so that a processor
    works on many pixels at a time.
    """
    if not is_numpy_array(bands):
        on_device: Sequence[NDArray[np.float32]] = device.sort(bands)
        return on_device
    if len(bands) > _NETWORK_UP_TO:
        rows = np.moveaxis(np.add(bands, np.float32(0)), 0, -1)
        return list(np.moveaxis(np.sort(rows, axis=-1), -1, 0))
    from pipeline.composite.kernels.rows import ranked  # noqa: PLC0415 -- numba takes long to import

    by_band = np.ascontiguousarray(bands.transpose(1, 0, 2))
    return list(ranked(by_band, _network(len(bands))).transpose(1, 0, 2))


@functools.cache
def _network(n: int) -> NDArray[np.int64]:
    """Return the pairs (M, 2) that sort n rows: merge exchange (Batcher; Knuth, TAOCP 3, 5.2.2, algorithm M)."""
    pairs: list[tuple[int, int]] = []
    top = p = 1 << max((n - 1).bit_length() - 1, 0)
    while p and n > 1:
        q, r, d = top, 0, p
        while d:
            pairs += [(i, i + d) for i in range(n - d) if i & p == r]
            d, q, r = q - p, q >> 1, p
        p >>= 1
    return np.array(pairs, np.int64).reshape(-1, 2)


@functools.cache
def _selection(n: int, last: int) -> NDArray[np.int64]:
    """Return the pairs of `_network` without which the rows up to `last` would not be the least ones in order."""
    needed, pairs = set(range(last + 1)), []
    for low, high in reversed(_network(n).tolist()):
        if low in needed or high in needed:
            needed |= {low, high}
            pairs.append((low, high))
    return np.array(pairs[::-1], np.int64).reshape(-1, 2)
