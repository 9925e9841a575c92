"""Everything that lasts: masks, composites, items and records, in one Icechunk repository a region.

::

    /                       format, title, the grid
    masks/<sensor>/         mask (time,y,x) u1 · platform, items (time) · fingerprint (time,tile_y,tile_x) u8
                            histogram (time,tile_y,tile_x,class) u4
    composites/<name>/      one i2 array per role (time,y,x) · count u2 · day i4 · source i4 · time_bnds
                            fingerprint (time,tile_y,tile_x) u8
    items/                  id, document, digest (item) · record (run)

Two doors: `open_writer`, for the one run that writes, and `open_archive`, for everybody who reads.
A run works on a branch of its own and readers see ``main``, which moves once, when the run publishes.

::

    base/       where a store lies, its lock, checksums, every reading of an array, errors in our words
    arrays/     layout.py: names, dtypes, chunks, attributes; a module a group; overviews
    write/      open_writer.py, writer.py: the door of the run; fork.py in a worker; plain_zarr.py
    versions/   branches, a run's work on top of another's (rebase.py), snapshots, failed runs, going back
    read/       open_archive.py, archive.py: the door of the readers
    repair/     reading everything to find what is damaged, and mending it
"""

from pipeline.store.base.writable import require_writable
from pipeline.store.read.archive import Archive
from pipeline.store.read.open_archive import find_archive, find_unfinished, open_archive
from pipeline.store.repair.damages import Damage, shown
from pipeline.store.repair.repair import Verified, verify
from pipeline.store.versions.rollback_expire import Expired, expire, roll_back
from pipeline.store.versions.snapshots import Snapshot
from pipeline.store.write.fork import Fork
from pipeline.store.write.open_writer import bytes_needed, open_writer
from pipeline.store.write.writer import Writer

__all__ = [
    "Archive",
    "Damage",
    "Expired",
    "Fork",
    "Snapshot",
    "Verified",
    "Writer",
    "bytes_needed",
    "expire",
    "find_archive",
    "find_unfinished",
    "open_archive",
    "open_writer",
    "require_writable",
    "roll_back",
    "shown",
    "verify",
]
