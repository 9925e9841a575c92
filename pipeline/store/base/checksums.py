"""Checksums of the files that Icechunk does not check: snapshots, manifests, transaction logs.

Chunks have a checksum of their own. But a flipped bit in a manifest can point at another chunk, or at
none, which reads as no data; one in a snapshot can change an attribute. So on a local path each commit
writes ``checksums/SNAPSHOT``, a list that `b2sum` can check, too::

    cd STORE && b2sum --length=128 --check checksums/SNAPSHOT

The snapshot and this list are small and cannot be made again, so there are two copies of both: see
`Checksums.put_back`. Object stores check their objects themselves: nothing is written there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import icechunk

from pipeline.errors import StoreDamagedError
from pipeline.store.base.listing import Listed, digest, hash_of, listing, parse_listing

FOLDER = "checksums"
EXPIRING = "expiring"
"""A file that exists while `expire` works, which shortens the history by rewriting a snapshot."""
COPIES = "copies"
"""Folder of second copies of snapshots and lists, by their paths in the store."""
RESERVE = "reserve"
"""A file of random bytes: `expire` deletes it first, so that it can rewrite a snapshot on a full disk."""
RESERVED = 1 << 16


@dataclass(frozen=True, slots=True)
class Checksums:
    """The lists of one repository."""

    folder: Path | None
    """Of the repository; none: it lies on an object store, and has none."""
    _good: set[str] = field(default_factory=set)
    """Files whose checksum was right: files of a store never change."""

    # -- writing -------------------------------------------------------------------------------

    def keep(self, repository: icechunk.Repository, snapshot: str) -> None:
        """Write the list of a new snapshot; files on the list of its parent are not hashed again."""
        if self.folder is None:
            return
        about = repository.lookup_snapshot(snapshot)
        before = self.listed(about.parent_id) if about.parent_id else None
        if before is None and about.parent_id and _is_first(repository, about.parent_id):
            # Icechunk makes the first, empty snapshot itself; without it no history can be read.
            self.keep(repository, about.parent_id)
        known = before.files if before is not None and before.whole else {}
        names = [f"snapshots/{snapshot}", f"transactions/{snapshot}"]
        names += [f"manifests/{each}" for each in sorted(self._manifests(repository, snapshot))]
        files = {
            name: known.get(name) or digest(self.folder / name)
            for name in names
            if (self.folder / name).exists()
        }
        self._write(snapshot, about.parent_id, bool(about.metadata.get("published")), files)
        self._reserve(RESERVED + 4 * (self.folder / f"snapshots/{snapshot}").stat().st_size)

    def _reserve(self, size: int) -> None:
        assert self.folder is not None
        reserve = self.folder / FOLDER / RESERVE
        if not reserve.exists() or reserve.stat().st_size < size:
            # A file system may store zeros as a hole, which reserves nothing. With room to grow, because
            # a snapshot grows by some bytes at every other commit.
            reserve.write_bytes(os.urandom(1 << (size - 1).bit_length()))

    def free_reserve(self) -> None:
        """Free the reserved room; the next commit reserves it again."""
        if self.folder is not None:
            (self.folder / FOLDER / RESERVE).unlink(missing_ok=True)

    def _write(
        self, snapshot: str, parent: str | None, published: bool, files: Mapping[str, str]
    ) -> None:
        assert self.folder is not None
        content = listing(parent, files, published=published)
        _replace(self.folder / FOLDER / snapshot, content)
        for name in _kept_twice(snapshot):
            _replace(self._copy(name), (self.folder / name).read_bytes())

    def _copy(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / FOLDER / COPIES / name

    @contextmanager
    def expiring(self, fresh: Callable[[], icechunk.Repository]) -> Iterator[None]:
        """Let Icechunk rewrite snapshots while the block lasts, and update their lists after it.

        `fresh` opens the repository again: an open one caches snapshots as they were.
        """
        if self.folder is None:
            yield
            return
        marker = self.folder / FOLDER / EXPIRING
        # What was damaged before must not get a valid checksum now.
        damaged = (
            set()
            if marker.exists()
            else {each for each in self.lists() if self.wrong_with(each)}
        )
        marker.parent.mkdir(exist_ok=True)
        marker.touch()
        yield
        repository = fresh()
        for snapshot in self.lists():
            self._renew(repository, snapshot, damaged)
        marker.unlink()

    def _renew(self, repository: icechunk.Repository, snapshot: str, damaged: set[str]) -> None:
        assert self.folder is not None
        name = f"snapshots/{snapshot}"
        if not (self.folder / name).exists():
            (self.folder / FOLDER / snapshot).unlink()
            for each in _kept_twice(snapshot):
                self._copy(each).unlink(missing_ok=True)
            return
        listed = self.listed(snapshot)
        now = digest(self.folder / name)
        if listed is None or snapshot in damaged or listed.files.get(name) == now:
            return
        parent = repository.lookup_snapshot(snapshot).parent_id
        self._write(snapshot, parent, listed.published, {**listed.files, name: now})

    # -- reading -------------------------------------------------------------------------------

    def lists(self) -> list[str]:
        """Return the snapshots that have a list."""
        if self.folder is None or not (self.folder / FOLDER).is_dir():
            return []
        names = (each.name for each in (self.folder / FOLDER).iterdir())
        others = (EXPIRING, RESERVE, COPIES)
        return sorted(each for each in names if each not in others and not each.startswith("."))

    def listed(self, snapshot: str) -> Listed | None:
        """Read the list of a snapshot; none: it has none."""
        if self.folder is None:
            return None
        try:
            return parse_listing((self.folder / FOLDER / snapshot).read_bytes())
        except FileNotFoundError:
            return None

    def put_back(self) -> list[str]:
        """Restore damaged snapshots and lists from their copies.

        Returns
        -------
        Their paths in the store.
        """
        folder = None if self.folder is None else self.folder / FOLDER / COPIES / FOLDER
        if self.folder is None or folder is None or not folder.is_dir():
            return []
        return [
            name
            for snapshot in sorted(each.name for each in folder.iterdir())
            for name in _kept_twice(snapshot)
            if self._put_back(snapshot, name)
        ]

    def _put_back(self, snapshot: str, name: str) -> bool:
        assert self.folder is not None
        listed, copy = self.listed(snapshot), self._copy(name)
        if not copy.exists() or (self.folder / FOLDER / EXPIRING).exists():
            return False
        content = copy.read_bytes()
        if name.startswith(FOLDER):
            needed = (listed is None or not listed.whole) and parse_listing(content).whole
        else:
            files = {} if listed is None or not listed.whole else listed.files
            needed = self._wrong(name, files) != "" and files.get(name) == hash_of(content)
        if needed:
            _replace(self.folder / name, content)
        return needed

    def wrong_with(self, snapshot: str) -> str:
        """Say what is wrong with the file of a snapshot, or with its list; empty: nothing."""
        listed = self.listed(snapshot)
        if listed is None or self.folder is None:
            return ""
        if not listed.whole:
            return f"its list {FOLDER}/{snapshot} is not what was written"
        if (self.folder / FOLDER / EXPIRING).exists():
            return ""
        return self._wrong(f"snapshots/{snapshot}", listed.files)

    def require(self, snapshot: str) -> None:
        """Check the file of a snapshot, before anything of it is read.

        Raises
        ------
        StoreDamagedError
            It is not what was written.
        """
        if reason := self.wrong_with(snapshot):
            raise StoreDamagedError(f"snapshot {snapshot}", None, reason)

    def require_below(self, repository: icechunk.Repository, snapshot: str, group: str) -> None:
        """Check the manifests of the arrays of a group, before any of them is read.

        Parameters
        ----------
        repository, snapshot
            A state whose own file is checked.
        group
            Path of the group, without the groups in it; empty: all arrays of the store.

        Raises
        ------
        StoreDamagedError
            One is not what was written; it names the array.
        """
        listed = self.listed(snapshot)
        if listed is None:
            return
        for path, manifests in arrays(repository, snapshot).items():
            if group and path.rpartition("/")[0] != group:
                continue
            for each in manifests:
                if reason := self._wrong(f"manifests/{each}", listed.files):
                    raise StoreDamagedError(path, None, f"manifest {each}: {reason}")

    def wrong_files(self, snapshot: str) -> list[str]:
        """Return the damaged files of a snapshot; all files are checked."""
        listed = self.listed(snapshot)
        files = {} if listed is None else listed.files
        return [name for name in files if self._wrong(name, files)]

    def _wrong(self, name: str, files: Mapping[str, str]) -> str:
        assert self.folder is not None
        if name in self._good:
            return ""
        if name not in files:
            return "it is on no list"
        try:
            found = digest(self.folder / name)
        except FileNotFoundError:
            return "it is lost"
        if found != files[name]:
            return "its checksum is another"
        self._good.add(name)
        return ""

    @staticmethod
    def _manifests(repository: icechunk.Repository, snapshot: str) -> set[str]:
        return {each for found in arrays(repository, snapshot).values() for each in found}


def arrays(repository: icechunk.Repository, snapshot: str) -> dict[str, list[str]]:
    """Return the manifests of every array of a state, by the array's path."""
    nodes = json.loads(repository.inspect_snapshot(snapshot, pretty=False))["nodes"]
    return {
        str(node["path"]).strip("/"): [str(each["id"]) for each in node["manifest_refs"]]
        for node in nodes
        if node["node_type"] == "array"
    }


def _kept_twice(snapshot: str) -> tuple[str, str]:
    # The list first: it says whether the copy of the snapshot is right.
    return f"{FOLDER}/{snapshot}", f"snapshots/{snapshot}"


def _is_first(repository: icechunk.Repository, snapshot: str) -> bool:
    return repository.lookup_snapshot(snapshot).parent_id is None


def _replace(target: Path, content: bytes) -> None:
    """Write a file atomically."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.replace(target)
