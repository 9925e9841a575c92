"""Map tiles of a snapshot.

::

    warp     which pixels of the region a tile shows, from which overview
    layers   a mask, a composite, its layers: pixels read and coloured
    ramps    fixed stretches and colours, the same for every date
"""
