"""Losses of networks that learn against a discriminator, and the discriminators; images are (N, B, H, W)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

# -- Cycle-GAN -------------------------------------------------------------------------------


def fools(said: Tensor) -> Tensor:
    """Return the cross-entropy of made images, as a discriminator's logits have them, with being real."""
    return functional.softplus(-said).mean()


def tells(real: Tensor, made: Tensor) -> Tensor:
    """Return half of the cross-entropy of a discriminator's logits of real and of made images."""
    return (functional.softplus(-real).mean() + functional.softplus(made).mean()) / 2


def r1(discriminator: nn.Module, real: Tensor) -> Tensor:
    """Return the mean square of the gradient, by a real image, of its mean logit.

    Mescheder, Geiger, Nowozin 2018 (https://arxiv.org/abs/1801.04406), equation 9 without its γ / 2.
    """
    real = real.detach().requires_grad_()
    said = discriminator(real).mean(dim=(1, 2, 3)).sum()
    (gradient,) = torch.autograd.grad(said, real, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def divergence(true: Tensor, found: Tensor) -> Tensor:
    """Return the mean Kullback-Leibler divergence of probabilities of cloud, (N, H, W), from those that are true."""
    true, found = (each.clamp(1e-6, 1 - 1e-6) for each in (true, found))
    each = true * (true / found).log() + (1 - true) * ((1 - true) / (1 - found)).log()
    return each.mean()


def patch_discriminator(bands: int, channels: Sequence[int] = (8, 16, 32, 64)) -> nn.Module:
    """Make a PatchGAN: (N, bands, H, W) -> (N, 1, H / 16, W / 16) logits of being real."""
    layers: list[nn.Module] = []
    for before, after in pairwise((bands, *channels)):
        layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1))
        if before != bands:
            layers.append(nn.BatchNorm2d(after, eps=1e-3, momentum=0.2))
        layers.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 1))


# -- GAN-CDM ---------------------------------------------------------------------------------


def squared(said: Tensor, wanted: float, counts: Tensor) -> Tensor:
    """Return the mean square between a discriminator's scores (N, 1, h, w) and what they should be (least squares GAN).

    `counts` (N,) says which images count, as 0 or 1; none: zero.
    """
    return mean_of((said - wanted).square().mean(dim=(1, 2, 3)), counts)


def mean_of(each: Tensor, counts: Tensor) -> Tensor:
    """Return the mean of the (N,) losses of those images that count; zero if none does."""
    return (each * counts).sum() / counts.sum().clamp(min=1)


def exclusion(one: Tensor, other: Tensor, levels: int = 3) -> Tensor:
    """Return how much edges of one image are edges of the other, (N,).

    On three levels, each half the size of the one before, for each pair of channels, across and down::

        mean over pixels of (tanh(∂ one / 2) · tanh(∂ other / 2))², to the power of ¼

    and the mean of all of them (Zhang, Ng, Chen 2018, https://arxiv.org/abs/1806.05376, as GAN-CDM has it).
    """
    found = []
    for _ in range(levels):
        for axis in (2, 3):
            a, b = (torch.tanh(each.diff(dim=axis) / 2).square() for each in (one, other))
            both = torch.einsum("nayx,nbyx->nab", a, b) / (a.shape[2] * a.shape[3])
            # The root has no slope at zero.
            found.append((both + 1e-20).pow(0.25).mean(dim=(1, 2)))
        one, other = (functional.avg_pool2d(each, 2) for each in (one, other))
    return torch.stack(found).mean(dim=0)


def instance_discriminator(
    bands: int, channels: Sequence[int] = (64, 128, 256, 512)
) -> nn.Module:
    """Make a PatchGAN with instance norms: (N, bands, H, W) -> (N, 1, h, w) scores of being real."""
    layers: list[nn.Module] = []
    for before, after in pairwise((bands, *channels)):
        layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False))
        if before != bands:
            layers.append(nn.InstanceNorm2d(after, affine=True))
        layers.append(nn.LeakyReLU(0.2))
    # An edge of 1/16 and one row and column more, so that small crops have a patch, too.
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 4, padding=2, bias=False))
