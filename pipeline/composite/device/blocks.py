"""A block of a composite on a device, as much of it at a time as fits its memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from pipeline.composite.device.rows import beside
from pipeline.composite.distances import nearest
from pipeline.composite.observations import Method, Observations
from pipeline.types import Device

log = logging.getLogger(__name__)

Array = Any
"""Of the device's library."""

SHARE = 0.5
"""Of the device's free memory that is used: others, a network perhaps, may ask for more meanwhile."""

_BAND_BYTES, _SCENE_BYTES = 48, 64
"""Of a value in a band, and of an observation: what is held at the peak, in float64 for some methods, and positions."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of observations on a device, (T, N), which compare with a name as an array of names does."""

    codes: Array
    """Whole numbers: positions in `known`."""
    known: tuple[str, ...]

    def __eq__(self, name: object) -> Array:
        """Return where the name stands, booleans."""
        return self.codes == (self.known.index(name) if name in self.known else -1)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDevice:
    """Composes pixels on a device."""

    method: Method
    roles: tuple[str, ...]
    of_pixels: tuple[str, ...]
    of_scenes: Mapping[str, NDArray[Any]]
    middle: float | None
    days: NDArray[np.int32]
    order: NDArray[np.intp]

    def compose(
        self, device: Device, arrays: Sequence[NDArray[Any]]
    ) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.int32]]]:
        """Compose pixels, some at a time.

        Parameters
        ----------
        device
            Where.
        arrays
            (T, N): the bands, the source, the usable, and the method's `of_pixels`.

        Yields
        ------
        Which pixels; (L, K) their bands and the method's layers, NaN = no data; (3, K) count, day and source.

        Raises
        ------
        MemoryError
            The device has not the memory for a single pixel.
        """
        n_times, n_px = arrays[0].shape
        step = min(self.pixels_at_a_time(n_times, device.free_bytes()), max(n_px, 1))
        start = 0
        while start < n_px:
            part = slice(start, min(start + step, n_px))
            try:
                floats, whole = device.run(self._composed, [each[:, part] for each in arrays])
            except MemoryError:
                if step == 1:
                    raise
                step = max(step // 2, 1)
                log.warning(
                    "composing: the device is out of memory; %d pixels at a time now", step
                )
                continue
            yield part, floats, whole
            start = part.stop

    def pixels_at_a_time(self, n_times: int, free_bytes: int) -> int:
        """Return how many pixels fit the device's memory, at least 1."""
        each = n_times * (_BAND_BYTES * len(self.roles) + _SCENE_BYTES)
        return max(int(SHARE * free_bytes) // each, 1)

    def _composed(self, *arrays: Array) -> tuple[Array, Array]:
        """Compose (T, N) arrays of the device: floats (L, N), and count, day and source (3, N)."""
        xp, n_bands = array_namespace(arrays[0]), len(self.roles)
        order = beside(arrays[0], self.order)
        bands = xp.stack([each[order] for each in arrays[:n_bands]])
        usable = arrays[n_bands + 1][order] & xp.all(xp.isfinite(bands), axis=0)
        source = arrays[n_bands][order]
        more = dict(zip(self.of_pixels, arrays[n_bands + 2 :], strict=True))
        more = {name: each[order] for name, each in more.items()}
        day = beside(arrays[0], self.days[self.order])
        count = xp.sum(xp.astype(usable, xp.int32), axis=0, dtype=xp.int32)
        # Usable ones first, in order of time.
        place = xp.argsort(xp.astype(~usable, xp.uint8), axis=0, stable=True)
        nan = xp.full_like(bands[0, 0], np.nan)
        floats = xp.stack([nan] * (n_bands + len(self.method.layers)))
        whole = xp.stack([count, *[xp.full_like(count, -1)] * 2])
        for n in range(1, len(usable) + 1):
            (pixels,) = xp.nonzero(count == n)
            if not len(pixels):
                continue
            at = place[:n, pixels]
            seen = self._seen(bands[:, at, pixels], at, pixels, more)
            composed = self.method.compose(seen)
            chosen = composed.chosen
            if chosen is None:
                chosen = nearest(seen.bands, composed.values)
            layers = [composed.layers[name] for name in self.method.layers]
            for layer, values in zip(floats, [*composed.values, *layers], strict=True):
                layer[pixels] = xp.astype(values, xp.float32)
            scene = xp.take_along_axis(at, chosen[np.newaxis], axis=0)[0]
            whole[1, pixels] = xp.astype(day[scene], xp.int32)
            whole[2, pixels] = xp.astype(source[scene, pixels], xp.int32)
        return floats, whole

    def _seen(
        self, bands: Array, at: Array, pixels: Array, of_pixels: Mapping[str, Array]
    ) -> Observations:
        """Return the observations (B, n, K) of pixels that were seen n times, `at` these scenes."""
        xp = array_namespace(bands)
        more: dict[str, Any] = {name: each[at, pixels] for name, each in of_pixels.items()}
        for name, values in self.of_scenes.items():
            if values.dtype.kind == "U":
                known, codes = np.unique(values[self.order], return_inverse=True)
                more[name] = Names(beside(bands, codes)[at], tuple(map(str, known)))
            else:
                more[name] = beside(bands, values[self.order])[at]
        return Observations(
            roles=self.roles,
            bands=xp.permute_dims(bands, (1, 0, 2)),
            usable=at >= 0,
            middle=self.middle,
            **more,
        )
