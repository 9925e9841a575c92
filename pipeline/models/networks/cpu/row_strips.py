"""Layers run in strips of rows, so that no full-resolution tensor with many channels exists at once; for a CPU.

A convolution of 3 x 3 px reads one row more on either side than it outputs. A strip is read with the rows that all
following layers need, and each layer drops the rows whose neighbours are missing. The result equals that of the
whole window: sums are the same, and strips depend on the window's height only. It takes no longer, because a strip
fits the cache and a window does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from pipeline.models.networks.cpu import upsample_conv


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """Some rows of a tensor."""

    values: torch.Tensor
    """(N, C, rows, W)."""
    first: int
    """Position of the first row in the whole."""
    height: int
    """Rows of the whole."""

    @property
    def stop(self) -> int:
        """Position after the last row in the whole."""
        return self.first + self.values.shape[2]

    def rows(self, first: int, stop: int) -> torch.Tensor:
        """Return rows by their positions in the whole."""
        return self.values[:, :, first - self.first : stop - self.first]


def spans(height: int, rows: int) -> Iterator[tuple[int, int]]:
    """Yield (first, stop) of every strip of `rows` rows; the last strip may be shorter."""
    for first in range(0, height, rows):
        yield first, min(first + rows, height)


def cut(whole: torch.Tensor, first: int, stop: int) -> Strip:
    """Return rows of (N, C, H, W) as a view, clipped to the tensor."""
    height = whole.shape[2]
    first, stop = max(first, 0), min(stop, height)
    return Strip(whole[:, :, first:stop], first, height)


class Same(nn.Module):
    """A size-preserving convolution (stride 1, odd kernel) and its ReLU, if it has one."""

    def __init__(self, conv: nn.Conv2d, *, relu: bool = False) -> None:
        """Take over the weights of a convolution that pads with zeros by half its size."""
        super().__init__()
        self.weight, self.bias, self._groups = conv.weight, conv.bias, conv.groups
        self._reach, self._relu = conv.kernel_size[0] // 2, relu
        assert conv.padding == (self._reach,) * 2
        assert conv.stride == conv.dilation == (1, 1)

    def forward(self, strip: Strip) -> Strip:
        """Convolve the rows whose neighbours are all in the strip."""
        reach, last = self._reach, strip.height
        at_top, at_bottom = strip.first == 0, strip.stop == last
        # Only the edges of the whole are padded with zeros; rows beside other strip edges are not made, or dropped.
        above = reach if at_top or at_bottom else 0
        made = functional.conv2d(
            strip.values, self.weight, self.bias, padding=(above, reach), groups=self._groups
        )
        if self._relu:
            made = made.relu_()
        if above:
            made = made[
                :, :, 0 if at_top else reach : made.shape[2] - (0 if at_bottom else reach)
            ]
        return Strip(made, strip.first + (0 if at_top else reach), last)


def halved(conv: nn.Conv2d, strip: Strip, first: int, stop: int) -> torch.Tensor:
    """Return rows of a 3 x 3 convolution of stride 2 over a whole of even height.

    Parameters
    ----------
    conv
        Pads by 1.
    strip
        At least the rows 2 · first - 1 to 2 · stop of its input, as far as there are any.
    first, stop
        Positions of the rows to make.
    """
    seen = strip.rows(max(2 * first - 1, 0), 2 * stop)
    above = 1 if first == 0 else 0
    return functional.conv2d(
        seen, conv.weight, conv.bias, stride=2, padding=(above, 1), groups=conv.groups
    )


class Doubled(nn.Module):
    """A 3 x 3 convolution of upsampled channels and skip channels, and a ReLU."""

    def __init__(self, conv: nn.Conv2d, n_doubled: int) -> None:
        """Take over the weights of a convolution; see `pipeline.models.networks.cpu.upsample_conv.split`."""
        super().__init__()
        self.quarters, beside = upsample_conv.split(conv, n_doubled)
        self.beside = Same(beside) if beside else None

    def forward(self, below: Strip, skip: Strip | None) -> Strip:
        """Convolve the rows whose neighbours are all in the strips.

        Parameters
        ----------
        below
            The level below, half as high and wide.
        skip
            At least the rows that `below` covers after upsampling; None if there are no skip channels.
        """
        first, stop, last = 2 * below.first, 2 * below.stop, 2 * below.height
        made = upsample_conv.interleaved(self.quarters(below.values))
        # The convolution pads strip ends with zeros as if they were edges of the whole.
        above, under = int(first > 0), int(stop < last)
        made = made[:, :, above : made.shape[2] - under]
        if self.beside is not None:
            assert skip is not None
            made = made.add_(self.beside(Strip(skip.rows(first, stop), first, last)).values)
        return Strip(made.relu_(), first + above, last)
