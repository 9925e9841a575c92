"""Rasters read in their own blocks: each block is decoded once, whatever windows want of it.

::

    raster.py   a raster whose header is cached, and which is opened only for blocks that are not
    headers.py  what is known of a raster once it was opened
    memory.py   decoded blocks in memory, each decoded by one thread
    disk.py     bytes on disk by key, bounded and shared by the processes of a machine
    remote.py   headers and blocks of remote rasters on disk, by what their server says of their version
    units.py    which blocks a window needs, and which are decoded together   (pure)
"""
