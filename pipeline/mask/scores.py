"""Checks scores of windows, weights them, and adds them where windows overlap. Plain arrays of one window or block.

Overlap-add: neighbouring windows overlap, and the weights of a pixel add up to one. Scores of a pixel without data
are NaN in all its windows, since all of them read the same pixels.
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
    """Weight a window's scores; pixels without data become NaN.

    Parameters
    ----------
    card
        The model's card.
    scores
        (K, window_px, window_px) as the model returned them; a third party's model may return anything.
    missing
        (S, S) with S = core + 2 · reach, true where there is no data.
    where
        Description of the window, for messages.

    Returns
    -------
    (K, S, S) float32, the window's terms in the sums of its pixels.

    Raises
    ------
    ModelError
        The scores have another shape or dtype, or are not finite for a pixel with data.
    """
    check_shape(card, scores, where)
    check_finite(card, int(count_not_finite(support(card.lattice, scores), missing)), where)
    products: FloatArray = support(card.lattice, scores) * window_weights(card.lattice)
    if missing.any():
        products[:, missing] = np.nan
    return products


def check_shape(card: ModelCard, scores: FloatArray, where: str) -> None:
    """Refuse a window's scores unless they are float32 (K, window_px, window_px).

    Raises
    ------
    ModelError
        They are not.
    """
    edge = card.lattice.window_px
    expected = (len(card.classes), edge, edge)
    if scores.shape != expected or scores.dtype != np.float32:
        raise ModelError(
            f"model {card.name} gave {scores.dtype} scores of shape {scores.shape} {where}, "
            f"expected float32 of {expected}"
        )


def check_finite(card: ModelCard, n_bad: int, where: str) -> None:
    """Refuse a window's scores if any pixel with data has scores that are not finite.

    Raises
    ------
    ModelError
        There are such pixels.
    """
    if n_bad:
        raise ModelError(
            f"model {card.name} gave no finite scores for {counted(n_bad, 'pixel')} {where}"
        )


def empty_scores(card: ModelCard) -> FloatArray:
    """Return the weighted scores of a window without data: NaN (K, S, S) with S = core + 2 · reach."""
    edge = card.lattice.core_px + card.lattice.blend_px
    return np.full((len(card.classes), edge, edge), np.nan, np.float32)


def joined(parts: list[FloatArray], reach: int) -> FloatArray:
    """Concatenate neighbours of one row along the last axis, and add them where they overlap.

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
    """Return the sums from the start of a window, or of several side by side, to the start of the next one.

    Parameters
    ----------
    before
        Weighted scores of the window before, whose last `overlap` lines cover the first ones of `own`. None: the
        mask does not need these lines, and they are left out.
    own
        Weighted scores, `cores` times core_px + `overlap` long along the axis.
    overlap
        Pixels that neighbours share, 2 · reach.
    axis
        Axis along which the windows follow each other.

    Returns
    -------
    Along the axis `cores` times core_px long, less `overlap` if `before` is None; read-only.
    """
    step = own.shape[axis] - overlap
    sole = own[_along(axis, slice(overlap, step))]
    if before is None:
        return sole
    last = before[_along(axis, slice(before.shape[axis] - overlap, None))]
    return np.concatenate([last + own[_along(axis, slice(0, overlap))], sole], axis=axis)


def _along(axis: int, span: slice) -> tuple[slice, ...]:
    return (*[slice(None)] * axis, span)
