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

    places      URL -> Icechunk repository or plain folder; the lock
    trouble     the errors of what lies below
    branches    the branches of runs, and the moving of ``main``
    layout      names, dtypes, chunks, CF attributes; the grid as attributes
    cells       small arrays with one value a cell (scene × tile), written when a tile is done
    overviews   smaller copies of the pixels
    masks, composites, ledger      one group each
    groups      the groups of one session
    tilestore   what a tile's work asks of a store
    fork        … in a worker process
    branchwork  … in a run: its commits, forks and publishing
    replay, moving                 a run's work on top of what another has published
    plain       the same without Icechunk, and without transactions
    opening, writer                the door of the run
    snapshots   published states
    lookup, archive                the door of the readers
    history     going back, and forgetting what is old
    checksums   hashes of what Icechunk does not check itself
    reading     every reading of an array: damage is named
    damages     reading everything, to find what is damaged
    repair      verifying and mending a store
    mending     what mending does to the arrays of a state
    failures    records of runs that failed
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
