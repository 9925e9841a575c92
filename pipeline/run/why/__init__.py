"""Why a pixel of a composite is what it is: every observation of it, and what became of each.

::

    stored.py    what runs read of a store, of one of its states
    asked.py     lonlat, period and name -> which pixel of which composite, and the settings that made it
    looked.py    the store's masks and the items' rasters, read again for that pixel by the composite's own code
    pixels.py    the stored pixel, and the one composed again
    not_used.py  items that runs dropped
    words.py     what became of each observation, in words
    answer.py    the answer: observations, the stored pixel, and whether both agree
    screened.py  the same of an area: what evidence from time makes of its scenes, beside what their masks say
"""

from __future__ import annotations

from pipeline.run.common.block_cache import use_block_cache
from pipeline.run.why.answer import Seen, Why
from pipeline.run.why.asked import ask
from pipeline.run.why.looked import look
from pipeline.run.why.screened import screened
from pipeline.run.why.words import told
from pipeline.store import Archive
from pipeline.types import Period

__all__ = ["Seen", "Why", "screened", "why"]


def why(
    archive: Archive,
    lonlat: tuple[float, float],
    period: Period | None = None,
    name: str | None = None,
) -> Why:
    """Explain one pixel of a composite.

    Its observations are read again from the items' rasters and composed by the code of runs, and the result is
    compared with the stored pixel. Where rasters cannot be read, the answer says so, and tells what the store knows.

    Parameters
    ----------
    archive
        An open store.
    lonlat
        Longitude and latitude in degrees (EPSG:4326), inside the pixel.
    period
        The composite's period that begins in it, or else the one that it begins in. None: its only one.
    name
        Of the composite. None: the store's only one.

    Raises
    ------
    QueryError
        The point lies outside of the region, or not exactly one composite or period is meant.
    StoreError
        There is no such composite.
    """
    use_block_cache()
    asked = ask(archive, lonlat, period, name)
    return told(asked, look(asked))
