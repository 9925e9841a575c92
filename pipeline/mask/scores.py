"""From a model's scores to class codes: weigh, add up, choose. Plain arrays, one window or block.

A pixel without data carries NaN as its scores, from all windows alike: they see the same pixels.
"""

from __future__ import annotations

import functools
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.mask.lattice import weights
from pipeline.types import Code, Lattice, ModelCard
from pipeline.wording import counted

FloatArray = NDArray[np.float32]
_Value = TypeVar("_Value", bound=np.generic)


def has_say(lattice: Lattice, window: NDArray[_Value]) -> NDArray[_Value]:
    """Return the part (…, core + 2 · reach, the same) of a window in which its scores count."""
    edge = lattice.halo_px - lattice.reach_px
    inner = slice(edge, lattice.window_px - edge)
    return window[..., inner, inner]


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
        Place of the window, in words.

    Returns
    -------
    (K, core + 2 · reach, the same) float32, what the window adds to its pixels.

    Raises
    ------
    ModelError
        They are no finite float32 scores, one for every class of the card and pixel with data.
    """
    counted = checked(card, scores, missing, where) * weights_of(card.lattice)
    if missing.any():
        counted[:, missing] = np.nan
    return counted


def checked(
    card: ModelCard, scores: FloatArray, missing: NDArray[np.bool_], where: str
) -> FloatArray:
    """Return the part of a window's scores that counts, (K, core + 2 · reach, the same).

    Raises
    ------
    ModelError
        As of `weighted`.
    """
    edge = card.lattice.window_px
    expected = (len(card.classes), edge, edge)
    if scores.shape != expected or scores.dtype != np.float32:
        raise ModelError(
            f"model {card.name} gave {scores.dtype} scores of shape {scores.shape} {where}, "
            f"expected float32 of {expected}"
        )
    scores = has_say(card.lattice, scores)
    n_bad = np.count_nonzero(~(np.isfinite(np.add.reduce(scores, axis=0)) | missing))
    if n_bad:
        raise ModelError(
            f"model {card.name} gave no finite scores for {counted(int(n_bad), 'pixel')} {where}"
        )
    return scores


@functools.cache
def weights_of(lattice: Lattice) -> FloatArray:
    """Return the weights of a window, (core + 2 · reach, the same)."""
    along = weights(lattice)
    return along[:, np.newaxis] * along


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
    before: FloatArray | None, own: FloatArray, shared: int, *, axis: int
) -> FloatArray:
    """Return what is said from where a window, or several side by side, begins to where the next one does.

    Parameters
    ----------
    before
        What the window before said, whose last `shared` lines are the first ones of `own`; if there is none,
        those are left out: no rectangle whose cover ends here has a pixel in them.
    own
        Weighted scores, `cores` times core_px + `shared` long along the axis.
    shared
        Pixels in which neighbours have a say, 2 · reach.
    axis
        From one window to the next.

    Returns
    -------
    `cores` times core_px long along the axis, without one before `shared` less; not to be written to.
    """
    step = own.shape[axis] - shared
    alone = own[_along(axis, slice(shared, step))]
    if before is None:
        return alone
    both = before[_along(axis, slice(before.shape[axis] - shared, None))]
    return np.concatenate([both + own[_along(axis, slice(0, shared))], alone], axis=axis)


def _along(axis: int, span: slice) -> tuple[slice, ...]:
    return (*[slice(None)] * axis, span)


def chosen(card: ModelCard, scores: FloatArray) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Choose each pixel's class: the most probable code; of equals, the first on the card.

    Parameters
    ----------
    card
        Its classes and what its scores are.
    scores
        (K, y, x), NaN = no data.

    Returns
    -------
    (y, x) uint8 codes of `Code`, and (y, x) uint8 their probability in per cent. Both are 0 where
    there is no data. Classes of one code share its probability: probabilities are added, logits as
    the logarithm of the sum of their exponentials.
    """
    found, per_cent = planes(card, scores, np.isnan(scores[0]), sure=True)
    return found, per_cent


def planes(
    card: ModelCard, scores: FloatArray, missing: NDArray[np.bool_], *, sure: bool
) -> NDArray[np.uint8]:
    """Choose each pixel's class as `chosen` does.

    Parameters
    ----------
    card
        Its classes and what its scores are.
    scores
        (K, y, x); anything where there is no data. Not written to.
    missing
        (y, x), where that is.
    sure
        Whether the probability is asked for.

    Returns
    -------
    (1, y, x) or (2, y, x) uint8.
    """
    codes = tuple(dict.fromkeys(card.classes))
    # What stands where there is no data is computed with like the rest, and overwritten.
    with np.errstate(invalid="ignore", over="ignore"):
        scores = _by_code(card, codes, scores)
        best = scores[0].copy()
        made = np.empty((2 if sure else 1, *best.shape), np.uint8)
        found = made[0]
        found[...] = codes[0]
        for code, each in zip(codes[1:], scores[1:], strict=True):
            np.copyto(found, np.uint8(code), where=each > best)
            np.maximum(best, each, out=best)
        np.copyto(found, np.uint8(Code.NO_DATA), where=missing)
        if sure:
            made[1] = _per_cent(card, scores, best, found == Code.NO_DATA)
    return made


def _by_code(card: ModelCard, codes: tuple[Code, ...], scores: FloatArray) -> FloatArray:
    if len(codes) == len(card.classes):
        return scores
    add = np.add if card.scores == "probabilities" else np.logaddexp
    members = [[k for k, each in enumerate(card.classes) if each == code] for code in codes]
    return np.stack([add.reduce(scores[each], axis=0) for each in members])


def _per_cent(
    card: ModelCard, scores: FloatArray, best: FloatArray, missing: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    if card.scores == "logits":
        best = 1 / np.exp(scores - best).sum(axis=0)
    # Sums of weights, and so of probabilities, differ from one by rounding.
    share = np.clip(np.where(missing, 0, best), 0, 1)
    per_cent: NDArray[np.uint8] = np.rint(share * 100).astype(np.uint8)
    return per_cent
