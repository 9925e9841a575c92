"""Evidence from time: what a pixel's own history says of an observation.

::

    screen.py    a period and its history -> which observations stand, and which pixels are suspect
    spikes.py    its compiled part, a pixel at a time
"""

from pipeline.composite.evidence.screen import (
    EVIDENCE,
    SUSPECT,
    VERSION,
    history_window,
    screen,
)

__all__ = ["EVIDENCE", "SUSPECT", "VERSION", "history_window", "screen"]
