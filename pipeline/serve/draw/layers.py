"""The layers of a map: a mask, bands of a composite, what a composite knows beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rio_tiler.models import ImageData

from pipeline.serve.draw import ramps, spectral
from pipeline.serve.draw.warp import Place
from pipeline.serve.problems import Refused
from pipeline.serve.state import State
from pipeline.types import Code, Period
from pipeline.types.legend import colour_table

STEP = np.float32(1e-4)
MISSING = -32768
"""Of stored reflectance: see docs/format.md."""
NONE = {"count": 0, "day": -1}
FINE_ONLY = ("count", "day")
"""Arrays without overviews: they are taken from the pixels themselves, which `place` then has to find."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels of a tile as they are drawn."""

    image: ImageData
    colours: dict[int, tuple[int, int, int, int]] | None = None

    def rendered(self, form: str) -> bytes:
        """Return the file: ``png`` or ``webp``."""
        options: dict[str, Any] = {"ZLEVEL": 1} if form == "png" else {"LOSSLESS": True}
        return bytes(self.image.render(img_format=form, colormap=self.colours, **options))


def empty(size: int) -> Picture:
    """Return a transparent tile."""
    return Picture(_image(np.zeros((1, size, size), np.uint8), np.zeros((size, size), bool)))


def mask(
    state: State, sensor: str, position: int, where: Place, classes: Sequence[Code]
) -> Picture:
    """Draw some classes of a scene in the legend's colours; all else is transparent."""
    window = where.window
    assert window is not None
    codes = state.pixels("masks", sensor, where.level, "mask", (position, *window))
    found = where.take(codes, Code.NO_DATA)
    shown = np.isin(found, [int(each) for each in classes]) & where.inside
    return Picture(_image(found[np.newaxis], shown), colour_table())


def bands(state: State, name: str, at: int, where: Place, wanted: Sequence[str]) -> Picture:
    """Draw three bands of a composite as red, green and blue, or one as grey."""
    values = [_reflectance(state, name, at, where, each) for each in wanted]
    valid = np.asarray(np.isfinite(values).all(0))
    whites = [ramps.WHITE.get(each, ramps.BRIGHT) for each in wanted]
    greys = [ramps.grey(each, white) for each, white in zip(values, whites, strict=True)]
    return Picture(_image(np.stack(greys), valid))


def index(state: State, name: str, at: int, where: Place, wanted: str) -> Picture:
    """Draw a spectral index of a composite, by its name."""
    roles = state.attributes("composites", name)["roles"]
    bands = {
        role: _reflectance(state, name, at, where, band)
        for role, band in spectral.bands_of(wanted, roles).items()
    }
    values = spectral.compute(wanted, bands)
    return _ramped(values, np.isfinite(values), wanted if wanted in ramps.RANGES else "index")


def beside(
    state: State, name: str, at: int, where: Place, layer: str, period: Period
) -> Picture:
    """Draw what a composite knows beside its bands: count, day, score."""
    window = where.window
    assert window is not None
    stored = where.take(
        state.pixels("composites", name, 1, layer, (at, *window)), NONE.get(layer, np.nan)
    )
    nothing = stored == NONE[layer] if layer in NONE else np.isnan(stored)
    valid = where.inside & ~nothing
    values = stored.astype(np.float32)
    if layer == "day":
        values -= period.start.timestamp() // 86400
    return _ramped(values, valid, layer)


def _ramped(values: NDArray[np.float32], valid: NDArray[np.bool_], layer: str) -> Picture:
    return Picture(_image(ramps.ramp(values, layer)[np.newaxis], valid), ramps.colours(layer))


def _reflectance(
    state: State, name: str, at: int, where: Place, band: str
) -> NDArray[np.float32]:
    window = where.window
    assert window is not None
    roles = state.attributes("composites", name)["roles"]
    if band not in roles:
        raise Refused(422, f"bands: found {band:.40}, expected some of {', '.join(roles)}")
    steps = where.take(
        state.pixels("composites", name, where.level, band, (at, *window)), MISSING
    )
    return np.where(steps == MISSING, np.float32(np.nan), steps * STEP)


def _image(pixels: NDArray[np.uint8], valid: NDArray[np.bool_]) -> ImageData:
    hidden = np.broadcast_to(~valid, pixels.shape)
    return ImageData(np.ma.MaskedArray(pixels, hidden))
