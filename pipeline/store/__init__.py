"""Everything that lasts: masks, composites, items and records, in one Icechunk repository a region.

::

    /                       format, title, the grid
    masks/<sensor>/         mask (time,y,x) u1 · platform, items (time) · fingerprint (time,tile_y,tile_x) u8
                            histogram (time,tile_y,tile_x,class) u4
    composites/<name>/      one i2 array per role (time,y,x) · count u2 · day i4 · source i4 · time_bnds
                            fingerprint (time,tile_y,tile_x) u8
    items/                  id, document, digest (item) · record (run)

Two entry points: `open_writer`, for the one run that writes, and `open_archive`, for readers.
A run works on its own branch. Readers see ``main``, which moves once, when the run publishes.

::

    base/       location, lock, checksums, all reads of arrays, errors of the storage as ours
    arrays/     layout.py: names and attributes; create.py: chunks and shards; a module a group; overviews
    write/      open_writer.py, writer.py: for a run; fork.py: for its workers; plain_zarr.py
    versions/   branches, a run's work on top of another's (rebase.py), snapshots, failed runs, going back
    read/       open_archive.py, archive.py: for readers
    repair/     verify.py: reading everything to find what is damaged, and mending it

Nothing is imported before it is used, and readers import xarray only for pixels: a
command that only looks something up starts at once.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
