"""Scores of windows -> class codes, probabilities, and the weighted scores that neighbours need.

The only decision kernel, written against the Python array API standard: the same code decides one window in numpy
and a batch of windows on the GPU that scored them. Both give the same bits except for probabilities, which may differ
by one per cent where a library's `exp` rounds differently.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from pipeline.mask.lattice import overlapping_parts, sole_part, support, window_weights
from pipeline.types import Code, Lattice, ModelCard

Array = Any
"""Of any library that follows the array API standard."""


def decide(
    card: ModelCard, scores: Array, missing: Array, *, confidence: bool
) -> tuple[Array, ...]:
    """Decide the pixels that no other window overlaps, and weight the scores of the others.

    Parameters
    ----------
    card
        The model.
    scores
        (…, K, window_px, window_px) float32; not written to.
    missing
        (…, S, S) bool with S = core + 2 · reach, true where there is no data; same library, same device.
    confidence
        Whether to add a second plane, the probability of the chosen class.

    Returns
    -------
    First (…), the number of pixels with data whose scores are not finite; then the fields of
    `pipeline.mask.overlap_add.WindowResult` in their order, each (…, plane or class, y, x).
    """
    xp = array_namespace(scores)
    scores = support(card.lattice, scores)
    sole = sole_part(card.lattice)
    n_bad = count_not_finite(scores, missing)
    # The weight is one where no other window overlaps: no need to multiply.
    codes = choose(
        card, scores[..., sole, sole], missing[..., sole, sole], confidence=confidence
    )
    weights = _weights(card.lattice, xp, device(scores))
    edges = []
    for ys, xs in overlapping_parts(card.lattice):
        edge = scores[..., ys, xs] * weights[ys, xs]
        edges.append(xp.where(missing[..., None, ys, xs], np.nan, edge))
    return n_bad, codes, *edges


def count_not_finite(scores: Array, missing: Array) -> Array:
    """Count the pixels with data of scores (…, K, y, x) that are not finite; missing is (…, y, x)."""
    xp = array_namespace(scores)
    with np.errstate(invalid="ignore", over="ignore"):
        # A sum is finite if all its terms are: one pass over the classes.
        bad = ~(xp.isfinite(xp.sum(scores, axis=-3)) | missing)
    return xp.count_nonzero(bad, axis=(-2, -1))


def choose(card: ModelCard, scores: Array, missing: Array, *, confidence: bool) -> Array:
    """Choose each pixel's class: the most probable code, or the first on the card if several are.

    Classes of one code share its probability: probabilities are added, logits as the logarithm of the sum of
    their exponentials.

    Parameters
    ----------
    card
        The model: its classes and its kind of scores.
    scores
        (…, K, y, x) float32, any values where there is no data; not written to.
    missing
        (…, y, x) bool, true where there is no data.
    confidence
        Whether to return the probability, too.

    Returns
    -------
    (…, 1 or 2, y, x) uint8: codes of `Code`, and their probability in per cent. Both are 0 where there is no
    data.
    """
    xp = array_namespace(scores)
    codes = tuple(dict.fromkeys(card.classes))
    # Pixels without data are computed like the rest, and overwritten.
    with np.errstate(invalid="ignore", over="ignore"):
        scores = _by_code(card, codes, scores)
        best = scores[..., 0, :, :]
        found = xp.full(best.shape, int(codes[0]), dtype=xp.uint8, device=device(scores))
        for index, code in enumerate(codes[1:], start=1):
            each = scores[..., index, :, :]
            found = xp.where(each > best, int(code), found)
            best = xp.maximum(best, each)
        found = xp.where(missing, int(Code.NO_DATA), found)
        if not confidence:
            return found[..., None, :, :]
        return xp.stack([found, _per_cent(card, scores, best, found)], axis=-3)


def _by_code(card: ModelCard, codes: tuple[Code, ...], scores: Array) -> Array:
    """Return (…, code, y, x): merges the scores of classes with the same code."""
    if len(codes) == len(card.classes):
        return scores
    xp = array_namespace(scores)
    add = xp.add if card.scores == "probabilities" else xp.logaddexp
    members = [[k for k, each in enumerate(card.classes) if each == code] for code in codes]
    sums = [functools.reduce(add, [scores[..., k, :, :] for k in each]) for each in members]
    return xp.stack(sums, axis=-3)


def _per_cent(card: ModelCard, scores: Array, best: Array, found: Array) -> Array:
    xp = array_namespace(scores)
    if card.scores == "logits":
        best = 1 / xp.sum(xp.exp(scores - best[..., None, :, :]), axis=-3)
    # By rounding, the sum of weights, and so of probabilities, may differ from one.
    share = xp.clip(xp.where(found == int(Code.NO_DATA), 0.0, best), 0, 1)
    return xp.astype(xp.round(share * 100), xp.uint8)


# Cached, because a copy to a device waits for everything in its queue.
@functools.cache
def _weights(lattice: Lattice, xp: Any, where: Any) -> Array:  # noqa: ANN401 - a library and its device
    return xp.asarray(window_weights(lattice), device=where)
