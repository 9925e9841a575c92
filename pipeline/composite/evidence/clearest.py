"""The k clearest observations of each pixel, known from masks before any pixel is read.

Scenes are ordered in each square cell of `CELL_PX` pixels by themselves: the more of it a scene shows, the earlier it comes;
of those that show equally much, the one nearer in days to the middle of the period, and then the earlier. Of its
usable observations each pixel takes the first k in the order of its cell.

Cells lie on multiples of their edge from the grid's anchor, and no tile cuts one (`pipeline.types.Job` sees to
that), so that no partition changes what a pixel takes. A pixel with k usable observations or fewer takes them all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.types.grid import CELL_PX

CLEAREST = 1
"""Version of the definition; part of the fingerprint of composites with a limit."""


def clearest(
    usable: NDArray[np.bool_], off_days: NDArray[np.float64], most: int
) -> NDArray[np.bool_]:
    """Choose the clearest observations.

    Parameters
    ----------
    usable
        (time, y, x) where scenes, by time, show the ground: whole cells.
    off_days
        (time,) days from the middle of the period: of scenes that show equally much the least comes first.
    most
        Observations of a pixel, at most.

    Returns
    -------
    (time, y, x), those of `usable` that a pixel takes.

    Raises
    ------
    ValueError
        The pixels are not whole cells.
    """
    n_times, height, width = usable.shape
    if height % CELL_PX or width % CELL_PX:
        raise ValueError(f"{height} × {width} px are not whole cells of {CELL_PX} px")
    chosen = usable.copy()
    if n_times <= most:
        return chosen
    for top in range(0, height, CELL_PX):
        row = usable[:, top : top + CELL_PX]
        shown = row.reshape(n_times, CELL_PX, -1, CELL_PX).sum(axis=(1, 3))
        for col, counts in enumerate(shown.T):
            if np.count_nonzero(counts) <= most:
                continue
            cell = np.s_[:, top : top + CELL_PX, col * CELL_PX : (col + 1) * CELL_PX]
            # Stable: of equals the earlier.
            order = np.lexsort((off_days, -counts))
            ordered = usable[cell][order]
            chosen[cell][order] = ordered & (ordered.cumsum(axis=0, dtype=np.uint16) <= most)
    return chosen
