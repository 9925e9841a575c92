"""Evidence from time: what a pixel's own history says of an observation.

::

    screen.py    a period and its history -> which observations stand, and which pixels are suspect
    gather.py    what it looks at, in order of time, compiled
    spikes.py    its compiled part, a pixel at a time
    look.py      in which pixels anything may stand out, many at a time
    states.py    what becomes of an observation
    fewest.py    pixels that too few observations decide
    clearest.py  the k clearest observations of each pixel, from masks alone
"""

from pipeline.composite.evidence.clearest import CLEAREST, clearest
from pipeline.composite.evidence.fewest import at_least
from pipeline.composite.evidence.screen import (
    EVIDENCE,
    SECOND_OPINION,
    SUSPECT,
    VERSION,
    history_window,
    screen,
)
from pipeline.composite.evidence.states import BRIGHT, DARK, KEPT, RESTORED, UNUSABLE

__all__ = [
    "BRIGHT",
    "CLEAREST",
    "DARK",
    "EVIDENCE",
    "KEPT",
    "RESTORED",
    "SECOND_OPINION",
    "SUSPECT",
    "UNUSABLE",
    "VERSION",
    "at_least",
    "clearest",
    "history_window",
    "screen",
]
