"""Reflectance -> input of a network: one window at a time on a CPU, whole batches on a device.

A device normalises reflectance itself, because the host would take longer for it than the network runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

FloatArray = NDArray[np.float32]


class Entry(Protocol):
    """Reflectance -> input of a network; host and device give the same but for rounding."""

    def here(self, image: FloatArray) -> FloatArray:
        """Normalise an image (B, H, W), NaN = no data, on the host; the result is finite and shares no memory.

        An image without gaps (`pipeline.models.engine.fill_gaps.mirrored`) may be normalised in place.
        """
        ...

    def there(self) -> nn.Module:
        """Return a module that does the same to a batch (N, B, H, W) float32 on a device."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Normalisation:
    """(x - mean) / std with constants for each band, for images whose gaps were filled."""

    mean: FloatArray
    """(B,), reflectance."""
    std: FloatArray
    """(B,), reflectance."""

    def here(self, image: FloatArray) -> FloatArray:
        """Normalise an image (B, H, W) in place and return it."""
        image -= self.mean[:, np.newaxis, np.newaxis]
        image /= self.std[:, np.newaxis, np.newaxis]
        return image

    def there(self) -> nn.Module:
        """Return what does the same with a batch; see `Entry`."""
        return _Affine(torch.from_numpy(self.mean), torch.from_numpy(self.std))


class _Affine(nn.Module):
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean[:, None, None])
        self.register_buffer("std", std[:, None, None])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images - self.mean) / self.std


class ZeroGaps:
    """Reflectance as it is, 0 where there is no data."""

    def here(self, image: FloatArray) -> FloatArray:
        """Return a copy of an image (B, H, W) without gaps."""
        filled: FloatArray = np.nan_to_num(image, nan=0.0)
        return filled

    def there(self) -> nn.Module:
        """Return what does the same with a batch; see `Entry`."""
        return _ZeroGaps()


class _ZeroGaps(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.nan_to_num(nan=0.0)


class OwnStatistics:
    """(x - mean) / std with the statistics of each band in the window itself."""

    def here(self, image: FloatArray) -> FloatArray:
        """Normalise an image.

        Parameters
        ----------
        image
            (B, H, W), any scale, NaN = no data.

        Returns
        -------
        (x - mean) / std over the pixels that are not NaN (population standard deviation, 1 where it is 0);
        0 where NaN stood.
        """
        normed = np.zeros_like(image)
        for band, out in zip(image, normed, strict=True):
            valid = ~np.isnan(band)
            # Usually all pixels are valid. Flattened, so that the order of sums does not depend on strides.
            values = band.ravel() if valid.all() else band[valid]
            if values.size:
                mean, std = values.mean(dtype=np.float64), values.std(dtype=np.float64)
                out[valid] = (values - np.float32(mean)) / np.float32(std or 1.0)
        return normed

    def there(self) -> nn.Module:
        """Return what does the same with a batch; see `Entry`."""
        return _OwnStatistics()


class _OwnStatistics(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        valid = ~images.isnan()
        count = valid.sum(dim=(-2, -1), keepdim=True).clamp(min=1)
        filled = images.where(valid, 0.0)
        # In float64, as on a CPU: a sum of a million values has lost half the digits of a float32.
        mean = filled.sum(dim=(-2, -1), keepdim=True, dtype=torch.float64) / count
        centred = (images - mean.float()).where(valid, 0.0)
        variance = centred.square().sum(dim=(-2, -1), keepdim=True, dtype=torch.float64) / count
        std = variance.sqrt().float()
        return centred / std.where(std > 0, 1.0)
