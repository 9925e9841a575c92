"""Cube + Mask -> Composite: the clear observations of a period become one picture.

::

    periods.py   a span of time -> the calendar periods that it touches
    blocks.py    cube + usable -> composite: blocks, counts, and which day each pixel comes from
    median.py    a method: the median of each band
    memory.py    how large a block may be, and what a tile needs

A *method* is a function of plain numpy (`Method`) that sees the usable observations of some pixels
and gives one value a band. To add one, write its family's file (``geomedian.py``, ``best.py``) with
the definition and the source in the docstring, and name it in `METHODS`; chunks, counts, days and
sources are the same for all and live in `blocks`.
"""

from pipeline.composite.blocks import METHODS, Method, compose, nothing
from pipeline.composite.memory import block_px, bytes_needed
from pipeline.composite.periods import ALL_TIME, cut, periods

__all__ = [
    "ALL_TIME",
    "METHODS",
    "Method",
    "block_px",
    "bytes_needed",
    "compose",
    "cut",
    "nothing",
    "periods",
]
