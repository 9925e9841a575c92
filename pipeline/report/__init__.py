"""The report of a run: one self-contained HTML file, and pictures.

::

    material.py     the input of a report
    pictures.py     composites, masks, counts and days as PNG
    tables.py       the record, the series and the accuracy as rows of tables
    words.py        sizes, times, periods and amounts as text
    page.py         renders the page (templates/)
    profile.py      where a run's time went

Nothing is imported before it is used: a profile needs no pictures.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
