"""Composites, scenes, masks, counts and days as pictures.

A mask has the colours of the legend; pixels without data show a grey checkerboard.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from PIL import Image

from pipeline.types import LEGEND

RGB = ("red", "green", "blue")

MAX_PX = 800
"""Longest edge of a picture by default."""

_PERCENTILES = (2.0, 98.0)

_FOOT = 0.12

_GAMMA = 1.2

_MOST_READ_PX = 4096
"""Longer edges are thinned before they are averaged, so that memory is bounded."""

DOUBTFUL = 2
"""A pixel of a composite is doubtful with this many clear observations or fewer: one missed cloud would show."""

_FEW = np.array([(215, 48, 31), (253, 141, 60)], dtype=np.uint8)
"""Colours of one observation, and of two."""

_HATCH_PX = 8
"""Distance between hatching lines on doubtful pixels."""

_CHECKER = np.array([208, 222], dtype=np.uint8)
"""Two greys."""
_CHECKER_PX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The reflectance shown as black, and that shown as white, for each band."""

    low: tuple[float, ...]
    high: tuple[float, ...]


def stretch_of(datasets: Iterable[xr.Dataset], bands: Sequence[str] = RGB) -> Stretch:
    """Compute a common stretch for several pictures from the 2nd and 98th percentile of all their pixels.

    All bands share one black and one white: reflectance needs no white balance, and a separate black for each band
    would turn summer green into brown.

    Parameters
    ----------
    datasets
        The data of the pictures, with any dims; NaN is ignored.
    bands
        The roles shown as red, green and blue.
    """
    shown = list(datasets)
    limits = [_limits([_thinned(dataset[band], 512) for dataset in shown]) for band in bands]
    darkest, brightest = min(low for low, _ in limits), max(high for _, high in limits)
    # Black lies a little below the 2nd percentile, so that woods and lakes are dark but not black.
    darkest -= _FOOT * (brightest - darkest)
    return Stretch(low=(darkest,) * len(bands), high=(brightest,) * len(bands))


def rgb_png(
    dataset: xr.Dataset,
    bands: Sequence[str] = RGB,
    stretch: Stretch | None = None,
    max_px: int = MAX_PX,
    doubtful: xr.DataArray | None = None,
) -> bytes:
    """Draw reflectance.

    Parameters
    ----------
    dataset
        Roles of dims (y, x), NaN = no data.
    bands
        The roles shown as red, green and blue.
    stretch
        None: a stretch computed from `dataset`.
    max_px
        Longest edge; larger data are averaged down.
    doubtful
        (y, x) booleans: pixels to hatch; None: none.

    Returns
    -------
    A PNG.
    """
    drawn = _rgb(dataset, bands, stretch, max_px)
    return _encoded(drawn if doubtful is None else _hatched(drawn, doubtful, max_px), "PNG")


def rgb_jpeg(
    dataset: xr.Dataset,
    bands: Sequence[str] = RGB,
    stretch: Stretch | None = None,
    max_px: int = MAX_PX,
    doubtful: xr.DataArray | None = None,
) -> bytes:
    """Draw reflectance as `rgb_png` does, as a JPEG of about a fifth of the size."""
    drawn = _rgb(dataset, bands, stretch, max_px)
    return _encoded(drawn if doubtful is None else _hatched(drawn, doubtful, max_px), "JPEG")


def mask_png(mask: xr.DataArray, max_px: int = MAX_PX) -> bytes:
    """Draw a mask of dims (y, x) in the colours of the legend, as a PNG."""
    colours = np.zeros((256, 3), dtype=np.uint8)
    for entry in LEGEND:
        colours[int(entry.code)] = [int(entry.colour[i : i + 2], 16) for i in (1, 3, 5)]
    return _encoded(colours[_thinned(mask, max_px)], "PNG")


def count_png(count: xr.DataArray, highest: int | None = None, max_px: int = MAX_PX) -> bytes:
    """Draw the number of usable observations, dims (y, x), as a PNG.

    `highest` is the count of the brightest colour, common to maps that are compared; None: the map's maximum.
    """
    counts = _thinned(count, max_px).astype(np.int64)
    top = max(int(counts.max(initial=0)) if highest is None else highest, 1)
    colours = count_colours(top)
    return _encoded(_on_checker(colours[np.minimum(counts, top)], counts > 0), "PNG")


def count_colours(highest: int) -> NDArray[np.uint8]:
    """Return the colours of the counts 0 to `highest`, (highest + 1, 3); low counts stand out."""
    colours = _sampled("viridis", np.linspace(0, 1, highest + 1))
    few = _FEW[:highest]
    colours[1 : 1 + len(few)] = few
    return colours


def is_doubtful(count: xr.DataArray) -> xr.DataArray:
    """Return which pixels of a composite have at least one and at most `DOUBTFUL` observations."""
    return (count > 0) & (count <= DOUBTFUL)


def day_png(day: xr.DataArray, max_px: int = MAX_PX) -> bytes:
    """Draw the day of each pixel's observation, dims (y, x), as a PNG in the colours of `day_colours`."""
    known, colours, _ = day_colours(day)
    days = _thinned(day, max_px)
    index = np.searchsorted(known, days).clip(0, max(len(known) - 1, 0))
    shown = colours[index] if len(known) else np.zeros((*days.shape, 3), dtype=np.uint8)
    some: NDArray[np.bool_] = np.isin(days, known)
    return _encoded(_on_checker(shown, some), "PNG")


def day_colours(
    day: xr.DataArray,
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.float64]]:
    """Return the days of a map since 1970-01-01, the colour of each, and its share of the pixels.

    Colours follow the order of the days, not their distance, so that neighbouring days are distinguishable.
    """
    days, counts = np.unique(day.to_numpy(), return_counts=True)
    some = days >= 0
    colours = _sampled("turbo", np.linspace(0.06, 0.94, int(some.sum())))
    return days[some].astype(np.int64), colours, counts[some] / max(day.size, 1)


# -- from data to pixels -----------------------------------------------------------------------


def _rgb(
    dataset: xr.Dataset, bands: Sequence[str], stretch: Stretch | None, max_px: int
) -> NDArray[np.uint8]:
    stretch = stretch or stretch_of([dataset], bands)
    values = np.stack([_averaged(dataset[band], max_px) for band in bands], axis=-1)
    known: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(values), axis=-1)
    low, high = np.array(stretch.low), np.array(stretch.high)
    scaled = np.clip((np.nan_to_num(values) - low) / (high - low), 0, 1) ** (1 / _GAMMA)
    return _on_checker(np.rint(255 * scaled).astype(np.uint8), known)


def _hatched(
    colours: NDArray[np.uint8], doubtful: xr.DataArray, max_px: int
) -> NDArray[np.uint8]:
    """Hatch doubtful pixels, so that the picture below stays visible."""
    share = _averaged(doubtful.astype(np.float32), max_px)
    y, x = np.ogrid[: share.shape[0], : share.shape[1]]
    lines = ((y + x) % _HATCH_PX < 2) & (share > 0.5)
    return np.where(lines[..., np.newaxis], _FEW[0], colours)


def _limits(parts: Sequence[NDArray[Any]]) -> tuple[float, float]:
    values = np.concatenate([part[np.isfinite(part)].ravel() for part in parts])
    if not values.size:
        return 0.0, 1.0
    low, high = (float(limit) for limit in np.percentile(values, _PERCENTILES))
    # A surface of one brightness has no contrast to stretch.
    return low, max(high, low + 1e-3)


def _thinned(array: xr.DataArray, max_px: int) -> NDArray[Any]:
    """Take every n-th pixel of y and x: the middle one of each square."""
    step = -(-max(array.sizes["y"], array.sizes["x"]) // max_px)
    start = step // 2
    thin = array.isel(y=slice(start, None, step), x=slice(start, None, step))
    values: NDArray[Any] = thin.to_numpy()
    return values


def _averaged(array: xr.DataArray, max_px: int) -> NDArray[np.float32]:
    """Average squares of pixels, ignoring NaN; incomplete squares at the end are cut off."""
    values = _thinned(array, _MOST_READ_PX)
    step = -(-max(values.shape) // max_px)
    ny, nx = (max(size // step, 1) for size in values.shape)
    values = values[: ny * step, : nx * step]
    squares = values.reshape(ny, values.shape[0] // ny, nx, values.shape[1] // nx)
    known = np.isfinite(squares)
    total = np.where(known, squares, 0).sum(axis=(1, 3))
    count = known.sum(axis=(1, 3))
    mean: NDArray[np.float32] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean.astype(np.float32)


def _sampled(colormap: str, positions: NDArray[np.float64]) -> NDArray[np.uint8]:
    colours: NDArray[np.uint8] = np.rint(
        255 * mpl.colormaps[colormap](positions)[:, :3]
    ).astype(np.uint8)
    return colours


def _on_checker(colours: NDArray[np.uint8], shown: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Replace pixels that are not shown by a checkerboard."""
    y, x = np.ogrid[: shown.shape[0], : shown.shape[1]]
    checker = _CHECKER[(y // _CHECKER_PX + x // _CHECKER_PX) % 2][..., np.newaxis]
    return np.where(shown[..., np.newaxis], colours, checker)


def _encoded(colours: NDArray[np.uint8], kind: str) -> bytes:
    """Encode (y, x, 3) as PNG or JPEG."""
    out = io.BytesIO()
    settings = {"optimize": True} if kind == "PNG" else {"quality": 86, "optimize": True}
    Image.fromarray(colours).save(out, kind, **settings)
    return out.getvalue()
