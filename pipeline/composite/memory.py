"""How large a block may be, and what a tile needs: sizes in bytes.

A block in work holds every observation of its pixels, and each worker has one. Dask joins the chunks of the time axis band by
band, so one band stands twice at that moment; what a method takes, it takes afterwards.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from pipeline.composite.blocks import strip_px
from pipeline.composite.observations import PIECE_BYTES

BLOCK_BUDGET_BYTES = 256 * 2**20
"""What one worker's block may hold by default."""

_FINEST_PX = 16

_METHOD_COPIES = 7
"""What a method may hold: so many times the observations that it gets at a time, some in float64."""

_TWICE_BYTES = 4
"""Of an observation while the chunks of a band are joined."""

_SCREENED_BYTES = 2
"""Of an observation that was screened: its state, and whether it stands. While that is found it takes no more than `_TWICE_BYTES`:
evidence is laid out for few pixels at a time."""

_TASK_BYTES = 2560
"""Of Dask's, for a band of a scene in a block, as tracemalloc tells of small tiles."""


def block_px(
    n_times: int,
    n_roles: int,
    budget_bytes: int = BLOCK_BUDGET_BYTES,
) -> int:
    """Return the edge of the blocks to work in: what the cube's (y, x) chunks should be.

    Parameters
    ----------
    n_times, n_roles
        Scenes of the period and of those that screen it, bands of the composite.
    budget_bytes
        What one block may hold.

    Returns
    -------
    The largest power of two, at least 16, whose square fits: it divides tiles and chunks.
    """
    edge = math.isqrt(budget_bytes // _block_bytes(1, n_times, n_roles))
    return max(_FINEST_PX, 1 << max(edge.bit_length() - 1, 0))


def bytes_needed(  # noqa: PLR0913 -- sizes, each by itself
    tile_px: int,
    n_times: int,
    n_roles: int,
    workers: int,
    budget_bytes: int = BLOCK_BUDGET_BYTES,
    n_layers: int = 0,
    *,
    screened: bool = False,
    packed: bool = True,
) -> int:
    """Return what composing a tile holds at its peak, reading of the sources not counted.

    Parameters
    ----------
    tile_px
        Edge of the tile, composed in blocks of `block_px`.
    n_times, n_roles
        Scenes of the period, bands of the composite.
    workers
        Blocks in work at once; where there are fewer, several work on each.
    budget_bytes
        As in `block_px`.
    n_layers
        What the method gives besides its values (`Method.layers`).
    screened
        Whether the period is screened.
    packed
        Whether the method gets observations packed; of `pipeline.composite.as_they_lie`, not.
    """
    edge = block_px(n_times, n_roles, budget_bytes)
    parts = needed(
        tile_px,
        n_times,
        n_roles,
        workers,
        edge,
        n_layers=n_layers,
        screened=screened,
        packed=packed,
    )
    return parts.composite + parts.tasks + parts.in_work


class Needed(NamedTuple):
    """What composing a tile takes, in bytes."""

    composite: int
    """Of the tile, as it is made."""
    tasks: int
    """Dask's, before the first is done."""
    in_work: int
    """Of all blocks in work at once."""


def needed(  # noqa: PLR0913 -- sizes, each by itself
    tile_px: int,
    n_times: int,
    n_roles: int,
    workers: int,
    edge_px: int,
    n_layers: int = 0,
    *,
    screened: bool = False,
    packed: bool = True,
) -> Needed:
    """Return the same as `bytes_needed`, part by part, in blocks of `edge_px`."""
    edge = min(tile_px, edge_px)
    blocks = math.ceil(tile_px / edge) ** 2
    later = _SCREENED_BYTES * n_times * edge**2 if screened else 0
    if packed:
        later += _strip_bytes(min(edge**2, strip_px(n_times, n_roles)), n_times, n_roles)
    # What is held while bands are joined, and what from then on, follow each other.
    at_once = min(workers, blocks)
    twice = _TWICE_BYTES * n_times * edge**2
    # Where several work on a block, each may join a band.
    later = max(later - twice, (workers // at_once - 1) * twice)
    block = _block_bytes(edge, n_times, n_roles) + 4 * n_layers * edge**2 + later
    return Needed(
        composite=tile_px**2 * _composite_bytes(n_roles + n_layers),
        tasks=_TASK_BYTES * blocks * n_times * (n_roles + 2),
        in_work=block * at_once,
    )


def _block_bytes(edge_px: int, n_times: int, n_roles: int) -> int:
    # Per observation: float32 bands, int32 source, a byte of usable, and the band that stands twice.
    observations = n_times * (4 * n_roles + 4 + 1 + _TWICE_BYTES)
    return edge_px**2 * (observations + _composite_bytes(n_roles))


def _strip_bytes(n_px: int, n_times: int, n_roles: int) -> int:
    # Bands in order of time, and packed; per observation its position and flags.
    observations = n_px * n_times * 4 * n_roles
    method = _METHOD_COPIES * min(observations, PIECE_BYTES)
    return 2 * observations + n_px * n_times * (8 + 4) + method


def _composite_bytes(n_roles: int) -> int:
    # float32 bands and three int32 layers: they travel as one array.
    return 4 * n_roles + 12
