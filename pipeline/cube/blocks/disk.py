"""Bytes on disk by key: bounded, shared by the processes of a machine, and never more than a cache.

Each entry is a file that gets its name when it is complete, with its key and a checksum in it. Whatever has become of an
entry or of the folder (killed writers, a full disk, truncated, mixed-up or foreign files) is a miss. The files are plain
because the libraries that do this (diskcache) unpickle what they find, and lock a database for every read.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import secrets
import shutil
import stat
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

MAGIC = b"CMB1"
HEAD_BYTES = len(MAGIC) + 4 + 32
"""Of a file: the magic, a checksum of all after it, the SHA-256 of the key."""

OWN = re.compile(r"[0-9a-f]{64}|\.[0-9a-f]{64}\.[0-9a-f]{8}")
"""Names of entries, complete or not."""

FULL, TRIMMED = 0.95, 0.9
"""A cache that has more than the first share of its size is reduced to the second."""
TURNS = 64
"""A process looks at the whole folder after it has written this part of the size."""
FILE_BYTES = 4096
"""Files take whole pieces of a disk of so many bytes."""
LEFTOVER_S = 3600.0
"""After so long, a file that was never completed is taken for one of a process that was killed."""
USED_S = 60.0
"""How exactly the last use of an entry is noted."""
PAUSE_S = 300.0
"""How long nothing is written after the disk has refused."""


class DiskCache:
    """Entries in a folder; those used longest ago are removed first.

    The size is that of all files together. Every process that writes sees to it, so that many at once exceed it by what
    each of them writes between two looks. At most half of what the disk has left is taken.

    Parameters
    ----------
    folder
        Made if it is not there. It must belong to this user, and nobody else may write to it.
    most_bytes
        Its size.

    Raises
    ------
    OSError
        The folder cannot be made, or others may write to it.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_own(folder)
        self._folder, self._most_bytes = folder, most_bytes
        self._lock, self._trimming = threading.Lock(), threading.Lock()
        self._unseen = most_bytes
        """Bytes written since the last look at the whole folder; at first as if it were full."""
        self._paused_until = 0.0

    def get(self, key: str) -> memoryview | None:
        """Return the bytes of a key; None if there is no sound entry of it."""
        digest = _digest(key)
        path = self._path(digest)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        if not _is_sound(content, digest):
            log.info("a damaged entry of the block cache is removed: %s", path)
            _remove(path)
            return None
        self._note_use(path)
        return memoryview(content)[HEAD_BYTES:]

    def put(self, key: str, content: bytes) -> None:
        """Write the bytes of a key; if that fails they are not kept, and a warning says so once in a while."""
        if len(content) > self._most_bytes // TURNS or time.monotonic() < self._paused_until:
            return
        digest = _digest(key)
        checked = digest + content
        head = MAGIC + zlib.crc32(checked).to_bytes(4, "little")
        try:
            self._write(self._path(digest), head + checked)
            self._count(_on_disk(HEAD_BYTES + len(content)))
        except OSError as error:
            self._paused_until = time.monotonic() + PAUSE_S
            log.warning("decoded blocks are not kept for now: %s: %s", self._folder, error)
            # A run may need the space more.
            self._trim()

    def _path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self._folder / name[:2] / name

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            new.write_bytes(content)
            new.replace(path)
        except BaseException:
            _remove(new)
            raise

    def _note_use(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > USED_S:
                os.utime(path)

    def _count(self, n_bytes: int) -> None:
        with self._lock:
            self._unseen += n_bytes
            due = self._unseen * TURNS >= self._most_bytes
            if due:
                self._unseen = 0
        if due:
            self._trim()

    def _trim(self) -> None:
        """Remove the entries used longest ago if the folder has more than its size, and what killed processes left."""
        if not self._trimming.acquire(blocking=False):
            return
        try:
            files = sorted(self._files())
            held = sum(size for _, size, _ in files)
            most = min(self._most_bytes, (held + shutil.disk_usage(self._folder).free) // 2)
            excess = held - most * TRIMMED if held > most * FULL else 0
            for _, size, path in files:
                if excess <= 0:
                    break
                _remove(path)
                excess -= size
        except OSError as error:
            log.warning("the block cache cannot be kept to its size: %s", error)
        finally:
            self._trimming.release()

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Yield last use, bytes on the disk and path of each file that a cache has written, and of no other."""
        for folder in self._folder.iterdir():
            if len(folder.name) != 2 or not folder.is_dir():
                continue
            for entry in os.scandir(folder):
                if not OWN.fullmatch(entry.name):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    found = entry.stat(follow_symlinks=False)
                    if entry.name.startswith(".") and time.time() - found.st_mtime > LEFTOVER_S:
                        _remove(Path(entry.path))
                        continue
                    yield found.st_mtime, _on_disk(found.st_size), Path(entry.path)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _is_sound(content: bytes, digest: bytes) -> bool:
    start = len(MAGIC) + 4
    checksum = int.from_bytes(content[len(MAGIC) : start], "little")
    return (
        content.startswith(MAGIC)
        and content[start:HEAD_BYTES] == digest
        and zlib.crc32(memoryview(content)[start:]) == checksum
    )


def _on_disk(n_bytes: int) -> int:
    return FILE_BYTES * -(-n_bytes // FILE_BYTES)


def _remove(path: Path) -> None:
    # Another process may have removed it, or read it on Windows.
    with contextlib.suppress(OSError):
        path.unlink()


def _require_own(folder: Path) -> None:
    if not hasattr(os, "getuid"):
        return
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(
            f"{folder} is not this user's alone: others could put pixels there; expected a folder that only this "
            "user may write to"
        )
