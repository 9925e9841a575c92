"""Rasters read in their own blocks: each block is decoded once, whatever windows want of it.

::

    raster.py   a raster whose header is cached, and which is opened only for blocks that are not
    memory.py   decoded blocks in memory, each decoded by one thread
    units.py    which blocks a window needs, and which are decoded together   (pure)
"""
