"""Composing on a device such as a GPU: the same definitions, on arrays of its library.

A method's arithmetic is written once, for any library of the array standard (`array_api_compat`). What is
compiled for processors (`pipeline.composite.kernels`) has its twin here, in whole arrays instead of loops::

    rows.py     rows of many pixels: sorted, compared, found again; dates
    steps.py    steps to the geometric median
    blocks.py   a block, as much of it at a time as the device holds

Twins do the same operations in the same order, each rounded by itself as IEEE 754 says, so that they give the
kernels' bits; exp, erfc and powers may differ in the last bit of float64. The geometric medians that are hard to
find (`kernels.descent`) are looked for on the processor.
"""

from pipeline.composite.device.rows import beside, day_of_year, here, nearest, sort
from pipeline.composite.device.steps import accelerated

__all__ = ["accelerated", "beside", "day_of_year", "here", "nearest", "sort"]
