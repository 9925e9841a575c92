"""Scores of windows: checked, weighted, and added where windows overlap. Plain arrays, one window or block.

Overlap-add: neighbouring windows overlap, and the weights of a pixel add up to one. A pixel without data carries
NaN as its scores, from all windows alike: they see the same pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.mask.decide import count_not_finite
from pipeline.mask.lattice import support, window_weights
from pipeline.types import ModelCard
from pipeline.wording import counted

FloatArray = NDArray[np.float32]


def weighted(
    card: ModelCard, scores: FloatArray, missing: NDArray[np.bool_], where: str
) -> FloatArray:
    """Weigh a window's scores; pixels without data become NaN.

    Parameters
    ----------
    card
        Of the model that gave them.
    scores
        (K, window_px, window_px) as the model gave them: anything, if it is a third party's.
    missing
        (core + 2 · reach, the same), where there is no data.
    where
        Which window, in words.

    Returns
    -------
    (K, core + 2 · reach, the same) float32, what the window adds to its pixels.

    Raises
    ------
    ModelError
        They are no finite float32 scores, one for every class of the card and pixel with data.
    """
    check_shape(card, scores, where)
    check_finite(card, int(count_not_finite(support(card.lattice, scores), missing)), where)
    products: FloatArray = support(card.lattice, scores) * window_weights(card.lattice)
    if missing.any():
        products[:, missing] = np.nan
    return products


def check_shape(card: ModelCard, scores: FloatArray, where: str) -> None:
    """Refuse what a model gave for a window unless it is float32 (K, window_px, window_px).

    Raises
    ------
    ModelError
        It is not.
    """
    edge = card.lattice.window_px
    expected = (len(card.classes), edge, edge)
    if scores.shape != expected or scores.dtype != np.float32:
        raise ModelError(
            f"model {card.name} gave {scores.dtype} scores of shape {scores.shape} {where}, "
            f"expected float32 of {expected}"
        )


def check_finite(card: ModelCard, n_bad: int, where: str) -> None:
    """Refuse a window's scores if some, of pixels with data, are not finite.

    Raises
    ------
    ModelError
        There are such pixels.
    """
    if n_bad:
        raise ModelError(
            f"model {card.name} gave no finite scores for {counted(n_bad, 'pixel')} {where}"
        )


def nothing(card: ModelCard) -> FloatArray:
    """Return what a window without data adds: NaN of shape (K, core + 2 · reach, the same)."""
    edge = card.lattice.core_px + card.lattice.blend_px
    return np.full((len(card.classes), edge, edge), np.nan, np.float32)


def joined(parts: list[FloatArray], reach: int) -> FloatArray:
    """Put neighbours of one row side by side, adding up where they overlap.

    Parameters
    ----------
    parts
        Arrays (…, X) that overlap by 2 · reach along the last axis.
    reach
        Half the overlap, in pixels.
    """
    if len(parts) == 1:
        return parts[0]
    step = parts[0].shape[-1] - 2 * reach
    shape = (*parts[0].shape[:-1], len(parts) * step + 2 * reach)
    whole = np.zeros(shape, np.float32)
    for index, part in enumerate(parts):
        whole[..., index * step : index * step + part.shape[-1]] += part
    return whole


def following(
    before: FloatArray | None, own: FloatArray, overlap: int, *, axis: int
) -> FloatArray:
    """Return sums from where a window, or several side by side, begins to where the next one does.

    Parameters
    ----------
    before
        Weighted scores of the window before, whose last `overlap` lines are the first ones of `own`. None:
        nothing in the mask is decided by these lines, and they are left out.
    own
        Weighted scores, `cores` times core_px + `overlap` long along the axis.
    overlap
        Pixels that neighbours share, 2 · reach.
    axis
        From one window to the next.

    Returns
    -------
    `cores` times core_px long along the axis, without one before `overlap` less; not to be written to.
    """
    step = own.shape[axis] - overlap
    sole = own[_along(axis, slice(overlap, step))]
    if before is None:
        return sole
    last = before[_along(axis, slice(before.shape[axis] - overlap, None))]
    return np.concatenate([last + own[_along(axis, slice(0, overlap))], sole], axis=axis)


def _along(axis: int, span: slice) -> tuple[slice, ...]:
    return (*[slice(None)] * axis, span)
