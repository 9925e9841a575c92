"""What of composing is compiled; numba takes long to import, so that these are imported where they are called.

::

    compiled.py   how kernels are compiled
    rows.py       rows of many pixels: sorted, compared, found again
    ranks.py      percentiles of pixels as they lie, with their gaps
    steps.py      steps to the geometric median, of many pixels at a time
    descent.py    the rest of the way, for pixels where it is long
"""
