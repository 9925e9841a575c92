"""What `pipeline.mask.frames.decided` does, for a batch of windows at once and where a device has their scores.

One byte a pixel comes back, and the scores of the frames. The mask room knows no library of networks: this is
written against the Python array API standard, for whatever library a model hands its scores over in.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.mask import frames, scores
from pipeline.types import Code, Lattice, ModelCard
from pipeline.wording import counted

Array = Any
"""Of any library."""


def decided(card: ModelCard, said: Array, missing: Array, *, sure: bool) -> tuple[Array, ...]:
    """Decide what windows can alone, and weigh what they share with others.

    Parameters
    ----------
    card
        The model.
    said
        (N, K, window_px, window_px) float32 scores.
    missing
        (N, core + 2 · reach, the same) bool, where there is no data; of the same library, on the same device.
    sure
        Whether there is a second plane, the probability in per cent.

    Returns
    -------
    (N,) the number of pixels with data whose scores are not finite; the fields of `frames.Window` in their
    order, each (N, …).
    """
    xp = array_namespace(said)
    said = scores.has_say(card.lattice, said)
    bad = ~(xp.isfinite(xp.sum(said, axis=1)) | missing)
    n_bad = xp.sum(xp.astype(bad, xp.int32), axis=(1, 2))
    alone = frames.decides_alone(card.lattice)
    codes = _planes(card, said[..., alone, alone], missing[..., alone, alone], sure=sure)
    weights = _weights(card.lattice, xp, device(said))
    strips = []
    for ys, xs in frames.shared_parts(card.lattice):
        strip = said[..., ys, xs] * weights[ys, xs]
        strips.append(xp.where(missing[:, None, ys, xs], np.nan, strip))
    return n_bad, codes, *strips


# Sending weights up waits for all that a device has in hand: once.
@functools.cache
def _weights(lattice: Lattice, xp: Any, where: Any) -> Array:  # noqa: ANN401 - a library and its device
    return xp.asarray(scores.weights_of(lattice), device=where)


def _planes(card: ModelCard, said: Array, missing: Array, *, sure: bool) -> Array:
    """Choose classes as `scores.planes` does; (N, 1 or 2, y, x) uint8."""
    xp = array_namespace(said)
    codes = tuple(dict.fromkeys(card.classes))
    said = _by_code(card, codes, said)
    best = said[:, 0, ...]
    found = xp.full(best.shape, int(codes[0]), dtype=xp.uint8, device=device(said))
    for index, code in enumerate(codes[1:], start=1):
        each = said[:, index, ...]
        found = xp.where(each > best, xp.full_like(found, int(code)), found)
        best = xp.maximum(best, each)
    found = xp.where(missing, xp.full_like(found, int(Code.NO_DATA)), found)
    if not sure:
        return found[:, None, ...]
    return xp.stack([found, _per_cent(card, said, best, found == int(Code.NO_DATA))], axis=1)


def _by_code(card: ModelCard, codes: tuple[Code, ...], said: Array) -> Array:
    if len(codes) == len(card.classes):
        return said
    xp = array_namespace(said)
    add = xp.add if card.scores == "probabilities" else xp.logaddexp
    members = [[k for k, each in enumerate(card.classes) if each == code] for code in codes]
    joined = [functools.reduce(add, [said[:, k, ...] for k in each]) for each in members]
    return xp.stack(joined, axis=1)


def _per_cent(card: ModelCard, said: Array, best: Array, missing: Array) -> Array:
    xp = array_namespace(said)
    if card.scores == "logits":
        best = 1 / xp.sum(xp.exp(said - best[:, None, ...]), axis=1)
    share = xp.clip(xp.where(missing, 0.0, best), 0, 1)
    return xp.astype(xp.round(share * 100), xp.uint8)


def windows(
    card: ModelCard, came: list[tuple[NDArray[Any], ...]], names: list[str]
) -> list[frames.Window]:
    """Take over what came back of windows.

    Parameters
    ----------
    card
        The model.
    came
        For each window what `decided` made of it.
    names
        Places of the windows, in words.

    Raises
    ------
    ModelError
        Scores were not finite.
    """
    for (n_bad, *_), name in zip(came, names, strict=True):
        if n_bad:
            raise ModelError(
                f"model {card.name} gave no finite scores for {counted(int(n_bad), 'pixel')} {name}"
            )
    return [
        frames.Window(codes=codes, top=top, bottom=bottom, left=left, right=right)
        for _, codes, top, bottom, left, right in came
    ]
