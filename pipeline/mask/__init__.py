"""Cube -> Mask: a model mapped over blocks with overlap, on one fixed lattice of windows.

::

    lattice.py   where windows sit                        (pure integers)
    blocks.py    cube and model -> lazy mask              (dask)
"""

from pipeline.mask.blocks import bytes_needed, mask_cube
from pipeline.mask.lattice import read_geobox

__all__ = ["bytes_needed", "mask_cube", "read_geobox"]
