"""Cube -> Mask: a model mapped over blocks with overlap, on one fixed lattice of windows.

::

    lattice.py      where windows lie and their weights             (pure integers)
    layout.py       which windows make one block                    (pure integers)
    blocks.py       cube and model -> lazy mask and confidence
    graph.py        the Dask graph of it
    combined.py     the same for a model made of several models
    joint.py        a combined model whose members share one lattice
    tasks.py        the tasks of that graph
    queue.py        batches for a device, filled by all threads
    decide.py       scores -> class codes, on a CPU or a device     (array API)
    scores.py       scores checked, weighted and added              (numpy)
    overlap_add.py  sums of the scores that windows share           (numpy)
    shared.py       windows at the edges of tiles, cached for the neighbouring tile
    seams.py        measures whether the edges of windows or tiles show in a mask
    postprocess/    clean.py: opening, dilation, smallest objects; shadows.py: shadows by the sun's position;
                    plausible.py: more shadow than clouds can throw; guard.py: permanent false positives  (numpy)
"""

from pipeline.mask.blocks import bytes_needed
from pipeline.mask.combined import mask_cube, mask_with_confidence
from pipeline.mask.lattice import coarser, finer, read_geobox
from pipeline.mask.postprocess.clean import clean
from pipeline.mask.postprocess.clean import reach_px as cleaning_reach_px
from pipeline.mask.postprocess.guard import Counts, history_of, usable
from pipeline.mask.postprocess.plausible import too_much_shadow
from pipeline.mask.postprocess.shadows import Sun, check_shadows
from pipeline.mask.postprocess.shadows import reach_px as shadow_reach_px
from pipeline.mask.queue import TURNS
from pipeline.mask.shared import SharedWindows, shared_windows

__all__ = [
    "TURNS",
    "Counts",
    "SharedWindows",
    "Sun",
    "bytes_needed",
    "check_shadows",
    "clean",
    "cleaning_reach_px",
    "coarser",
    "finer",
    "history_of",
    "mask_cube",
    "mask_with_confidence",
    "read_geobox",
    "shadow_reach_px",
    "shared_windows",
    "too_much_shadow",
    "usable",
]
