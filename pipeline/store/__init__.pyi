from .base.writable import require_writable
from .read.archive import Archive
from .read.chunk_cache import ChunkCache
from .read.open_archive import (
    find_archive,
    find_unfinished,
    latest_snapshot,
    open_archive,
    open_as,
)
from .repair.damages import Damage, Verified, damage_texts
from .repair.verify import verify
from .versions.rollback_expire import Expired, expire, roll_back
from .versions.snapshots import Snapshot
from .write.fork import Fork
from .write.open_writer import bytes_needed, open_writer
from .write.writer import Writer

__all__ = [
    "Archive",
    "ChunkCache",
    "Damage",
    "Expired",
    "Fork",
    "Snapshot",
    "Verified",
    "Writer",
    "bytes_needed",
    "damage_texts",
    "expire",
    "find_archive",
    "find_unfinished",
    "latest_snapshot",
    "open_archive",
    "open_as",
    "open_writer",
    "require_writable",
    "roll_back",
    "verify",
]
