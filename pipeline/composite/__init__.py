"""Cube + Mask -> Composite: the clear observations of a period become one picture.

::

    periods.py        a span of time -> the calendar periods that it touches
    observations.py   the seam: what a method sees, and what it gives
    methods.py        the table of methods, those of other packages included
    means.py          mean, weighted_mean
    ranks.py          median, percentile
    geomedian.py      geomedian, with its median deviations
    choices.py        one observation, whole: medoid, nearest, max, first, latest
    best.py           best, the best available pixel; scores.py: what makes an observation good
    indices.py        spectral indices by name
    clouds.py         how far observations are from clouds and shadows
    distances.py      which observation is nearest, in whole numbers
    evidence/         evidence from time: observations that their pixel's history contradicts
    kernels/          what of it is compiled
    device/           the same on a device such as a GPU
    blocks.py         cube + usable -> composite: blocks, counts, and which day each pixel comes from
    memory.py         how large a block may be, and what a tile needs

A *method* (`Method`) is a dataclass whose fields are its options. It sees the usable observations of
some pixels and gives one value a band. To add one, write its family's file with the definition and
the source in the docstring, and name it in `METHODS`; another package names it as an entry point of
the group ``cloudmask.composites``. Chunks, counts, days and sources are the same for all and live in
`blocks`.
"""

from pipeline.composite.blocks import compose, nothing
from pipeline.composite.clouds import DISTANCES, cloud_distances, distances_bytes, reach_px
from pipeline.composite.evidence import (
    BRIGHT,
    CLEAREST,
    DARK,
    EVIDENCE,
    KEPT,
    RESTORED,
    SECOND_OPINION,
    SUSPECT,
    UNUSABLE,
    VERSION,
    at_least,
    clearest,
    history_window,
    screen,
)
from pipeline.composite.memory import Needed, block_px, bytes_needed, needed
from pipeline.composite.methods import METHODS, method, names, on_device
from pipeline.composite.observations import Composed, Method, Observations
from pipeline.composite.periods import ALL_TIME, Kind, cut, periods
from pipeline.composite.ranks import as_they_lie

__all__ = [
    "ALL_TIME",
    "BRIGHT",
    "CLEAREST",
    "DARK",
    "DISTANCES",
    "EVIDENCE",
    "KEPT",
    "METHODS",
    "RESTORED",
    "SECOND_OPINION",
    "SUSPECT",
    "UNUSABLE",
    "VERSION",
    "Composed",
    "Kind",
    "Method",
    "Needed",
    "Observations",
    "as_they_lie",
    "at_least",
    "block_px",
    "bytes_needed",
    "clearest",
    "cloud_distances",
    "compose",
    "cut",
    "distances_bytes",
    "history_window",
    "method",
    "names",
    "needed",
    "nothing",
    "on_device",
    "periods",
    "reach_px",
    "screen",
]
