"""Losses on scores and labels that may leave several classes open.

Scores are logits (N, K, H, W). Labels are booleans of the same shape: which classes a pixel may be. A pixel that
may be anything teaches nothing, and one that may be nothing (no data, or ignored) is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def allowed_classes(labels: Tensor, classes: Sequence[Sequence[int]]) -> Tensor:
    """Turn sets of codes, as bits, into booleans for each class.

    Parameters
    ----------
    labels
        (N, H, W) uint8: bit *n* says whether a pixel may be the code *n* (`pipeline.datasets.labels`).
    classes
        The codes that each of the K classes stands for: it is allowed where one of them is.

    Returns
    -------
    (N, K, H, W) booleans.
    """
    bits = [sum(1 << int(code) for code in codes) for codes in classes]
    of_each = torch.tensor(bits, device=labels.device, dtype=labels.dtype)
    # Classes side by side in memory, as the scores of a network in channels-last have them.
    return ((labels[..., None] & of_each) > 0).movedim(-1, 1)


def ambiguous_cross_entropy(
    scores: Tensor, allowed: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Return the mean of -log of the probability of all allowed classes together.

    With one class allowed it is cross-entropy; with all, zero (Francis 2024, "SEnSeI-v2"). It is a difference
    of two logsumexp, so that no probability underflows.

    Parameters
    ----------
    scores, allowed
        See the module.
    weights
        (K,) weight of each class; a pixel weighs the mean of its allowed ones. The mean is a weighted one.
    """
    known = allowed.any(dim=1)
    inside = scores.masked_fill(~allowed, -torch.inf)
    # A pixel without any class would be minus infinity minus a number: it is given all, and left out.
    inside = torch.where(known[:, None], inside, scores)
    lost = torch.logsumexp(scores, dim=1) - torch.logsumexp(inside, dim=1)
    return _mean(lost, _pixel_weights(allowed, known, weights))


def ambiguous_square(scores: Tensor, allowed: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean square between labels and probabilities, those of allowed classes shared out evenly.

    With S classes allowed, of which the probabilities add up to φ, an allowed class is asked for 1/S and has
    φ/S, another is asked for nothing and has its own probability (Francis 2024).
    """
    known = allowed.any(dim=1)
    target, shared = _shared(scores, allowed)
    lost = (target - shared).square().mean(dim=1)
    return _mean(lost, _pixel_weights(allowed, known, weights))


def tversky(
    scores: Tensor,
    allowed: Tensor,
    *,
    missed: float = 0.5,
    false: float = 0.5,
    weights: Tensor | None = None,
) -> Tensor:
    """Return one minus the mean Tversky index of the classes; with halves it is the Dice loss.

    TP / (TP + missed · FN + false · FP) for each class, over all pixels of the batch; classes that no label
    allows are left out. Where several classes are allowed, they share labels and probability evenly.
    """
    known = allowed.any(dim=1, keepdim=True)
    target, shared = _shared(scores, allowed)
    target, shared = target * known, shared * known
    dims = (0, 2, 3)
    hit = (target * shared).sum(dims)
    lacking, wrong = target.sum(dims) - hit, shared.sum(dims) - hit
    index = hit / (hit + missed * lacking + false * wrong).clamp(min=1e-9)
    each = (target.sum(dims) > 0).to(scores.dtype)
    if weights is not None:
        each = each * weights
    return 1 - (index * each).sum() / each.sum().clamp(min=1e-9)


def lovasz(scores: Tensor, allowed: Tensor) -> Tensor:
    """Return the Lovász softmax loss: a convex stand-in for one minus the intersection over union.

    Berman, Triki, Blaschko 2018 (https://doi.org/10.1109/CVPR.2018.00464), algorithm 1, over all pixels of
    the batch that have one class; the mean over the classes that occur.
    """
    certain = allowed.sum(dim=1) == 1
    # N K H W -> pixels K
    shares = torch.softmax(scores, dim=1).permute(0, 2, 3, 1)[certain]
    truth = allowed.permute(0, 2, 3, 1)[certain]
    found = [k for k in range(scores.shape[1]) if bool(truth[:, k].any())]
    if not found:
        return scores.sum() * 0
    return torch.stack([_lovasz_of(shares[:, k], truth[:, k]) for k in found]).mean()


def recovery(recovered: Tensor, reflectance: Tensor, present: Tensor) -> Tensor:
    """Return the mean square between bands and what was recovered of them, (N, B, H, W), of bands present (N, B)."""
    lost = (recovered - reflectance).square().mean(dim=(2, 3))
    return _mean(lost, present.to(lost.dtype))


def _shared(scores: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
    shares = torch.softmax(scores, dim=1)
    marks = allowed.to(shares.dtype)
    target = marks / marks.sum(dim=1, keepdim=True).clamp(min=1)
    inside = (marks * shares).sum(dim=1, keepdim=True)
    return target, torch.where(allowed, target * inside, shares)


def _lovasz_of(share: Tensor, truth: Tensor) -> Tensor:
    wrong = torch.where(truth, 1 - share, share)
    order = torch.argsort(wrong.detach(), descending=True)
    marks = truth[order].to(share.dtype)
    total = marks.sum()
    # Jaccard loss of taking the first pixels for wrong, one more at a time.
    loss = 1 - (total - marks.cumsum(0)) / (total + (1 - marks).cumsum(0))
    steps = functional.pad(loss, (1, 0)).diff()
    return (wrong[order] * steps).sum()


def _pixel_weights(allowed: Tensor, known: Tensor, weights: Tensor | None) -> Tensor:
    if weights is None:
        return known.float()
    marks = allowed.to(weights.dtype)
    each = (marks * weights[:, None, None]).sum(dim=1) / marks.sum(dim=1).clamp(min=1)
    return each * known


def _mean(lost: Tensor, weights: Tensor) -> Tensor:
    return (lost * weights).sum() / weights.sum().clamp(min=1e-9)
