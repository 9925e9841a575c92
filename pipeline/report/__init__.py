"""The report of a run: one self-contained HTML file, and pictures.

::

    material.py     the input of a report
    pictures.py     composites, masks, counts and days as PNG
    tables.py       the record, the series and the accuracy as rows of tables
    words.py        sizes, times, periods and amounts as text
    page.py         renders the page (templates/)
"""

from pipeline.report.material import Material, choose_example
from pipeline.report.page import run_of, write_report
from pipeline.report.pictures import (
    Stretch,
    count_png,
    day_png,
    mask_png,
    rgb_jpeg,
    rgb_png,
    stretch_of,
)

__all__ = [
    "Material",
    "Stretch",
    "choose_example",
    "count_png",
    "day_png",
    "mask_png",
    "rgb_jpeg",
    "rgb_png",
    "run_of",
    "stretch_of",
    "write_report",
]
