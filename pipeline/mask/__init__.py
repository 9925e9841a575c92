"""Cube -> Mask: a model mapped over blocks with overlap, on one fixed lattice of windows.

::

    lattice.py      where windows sit and what they count           (pure integers, weights)
    layout.py       which windows stand in which block             (pure integers)
    blocks.py       cube and model -> lazy mask, confidence         (dask)
    combined.py     the same for a model of several models         (dask)
    tasks.py        what it runs: windows -> scores -> codes
    queue.py        batches for a device, filled by all threads
    on_device.py    scores of windows -> codes, where a device has them
    scores.py       scores of windows -> codes                      (arrays)
    frames.py       what a window leaves to its neighbours          (arrays)
    shared.py       windows at the edges of tiles, kept for their neighbours
    seams.py        does a mask show where it was cut?
    postprocess/    clean.py: opening, dilation, sizes; shadows.py: against the sun; guard.py: what is
                    cloud whenever all around is clear                  (arrays)
"""

from pipeline.mask.blocks import bytes_needed
from pipeline.mask.combined import mask_cube, mask_with_confidence
from pipeline.mask.lattice import read_geobox
from pipeline.mask.postprocess.clean import clean
from pipeline.mask.postprocess.clean import reach_px as cleaning_reach_px
from pipeline.mask.postprocess.guard import Counts, history_of, usable
from pipeline.mask.postprocess.shadows import Sun, check_shadows
from pipeline.mask.postprocess.shadows import reach_px as shadow_reach_px
from pipeline.mask.shared import SharedWindows, shared_windows

__all__ = [
    "Counts",
    "SharedWindows",
    "Sun",
    "bytes_needed",
    "check_shadows",
    "clean",
    "cleaning_reach_px",
    "history_of",
    "mask_cube",
    "mask_with_confidence",
    "read_geobox",
    "shadow_reach_px",
    "shared_windows",
    "usable",
]
