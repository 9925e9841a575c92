"""Hashes of the files that Icechunk does not check itself: snapshots, manifests, transaction logs.

Chunks carry a checksum of their own. A flipped bit in a manifest, though, can point at another chunk or
at none, which reads as no data, and one in a snapshot can change an attribute. So in a store on a local
path, each commit leaves ``checksums/SNAPSHOT``, a list that `b2sum` can check, too::

    cd STORE && b2sum --length=128 --check checksums/SNAPSHOT

Object stores keep checksums of their objects themselves, so nothing is written there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import icechunk

from pipeline.errors import StoreDamagedError

FOLDER = "checksums"
EXPIRING = "expiring"
"""A file that is there while `expire` works, which cuts the history off by writing a snapshot anew."""


RESERVE = "reserve"
"""A file of nothing, kept so that `expire` has room on a disk that is full: it writes a snapshot anew."""
RESERVED = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a list says."""

    parent: str | None
    """The snapshot before."""
    published: bool
    files: Mapping[str, str]
    """``manifests/ID`` -> hash."""
    whole: bool
    """Whether the list itself is what was written."""


@dataclass(frozen=True, slots=True)
class Checksums:
    """The lists of one repository."""

    folder: Path | None
    """Of the repository; none: it lies on an object store, and has none."""
    _good: set[str] = field(default_factory=set)
    """Files that were found to be right: they never change again."""

    # -- writing -------------------------------------------------------------------------------

    def keep(self, repository: icechunk.Repository, snapshot: str) -> None:
        """Write the list of a new snapshot; what its parent has listed is not hashed again."""
        if self.folder is None:
            return
        about = repository.lookup_snapshot(snapshot)
        before = self.listed(about.parent_id) if about.parent_id else None
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
            # Zeros could be kept as a hole, which reserves nothing.
            reserve.write_bytes(os.urandom(size))

    def free_reserve(self) -> None:
        """Give the reserved room up; the next commit reserves it again."""
        if self.folder is not None:
            (self.folder / FOLDER / RESERVE).unlink(missing_ok=True)

    def _write(
        self, snapshot: str, parent: str | None, published: bool, files: Mapping[str, str]
    ) -> None:
        assert self.folder is not None
        lines = [f"# parent {parent or 'none'}", f"# published {published}"]
        lines += [f"{value}  {name}" for name, value in files.items()]
        text = "".join(f"{line}\n" for line in lines)
        target = self.folder / FOLDER / snapshot
        target.parent.mkdir(exist_ok=True)
        unfinished = target.with_name(f".{snapshot}.{os.getpid()}")
        unfinished.write_text(f"# {_hash(text.encode())}\n{text}", encoding="ascii")
        unfinished.replace(target)

    @contextmanager
    def expiring(self) -> Iterator[None]:
        """Let Icechunk write snapshots anew while the block lasts, and list them anew after it."""
        if self.folder is None:
            yield
            return
        marker = self.folder / FOLDER / EXPIRING
        # What is damaged before must not pass for whole afterwards.
        damaged = (
            set() if marker.exists() else {each for each in self.lists() if self.trouble(each)}
        )
        marker.parent.mkdir(exist_ok=True)
        marker.touch()
        yield
        for snapshot in self.lists():
            self._renew(snapshot, damaged)
        marker.unlink()

    def _renew(self, snapshot: str, damaged: set[str]) -> None:
        assert self.folder is not None
        name = f"snapshots/{snapshot}"
        if not (self.folder / name).exists():
            (self.folder / FOLDER / snapshot).unlink()
            return
        listed = self.listed(snapshot)
        now = digest(self.folder / name)
        if listed is None or snapshot in damaged or listed.files.get(name) == now:
            return
        self._write(snapshot, listed.parent, listed.published, {**listed.files, name: now})

    # -- reading -------------------------------------------------------------------------------

    def lists(self) -> list[str]:
        """Return the snapshots that have a list."""
        if self.folder is None or not (self.folder / FOLDER).is_dir():
            return []
        names = (each.name for each in (self.folder / FOLDER).iterdir())
        others = (EXPIRING, RESERVE)
        return sorted(each for each in names if each not in others and not each.startswith("."))

    def listed(self, snapshot: str) -> Listed | None:
        """Read the list of a snapshot; none: it has none."""
        if self.folder is None:
            return None
        try:
            raw = (self.folder / FOLDER / snapshot).read_bytes()
        except FileNotFoundError:
            return None
        first, _, rest = raw.partition(b"\n")
        lines = rest.decode("ascii", "replace").splitlines()
        notes = dict(each[2:].partition(" ")[::2] for each in lines if each.startswith("# "))
        files = (each.partition("  ") for each in lines if not each.startswith("#"))
        parent = notes.get("parent", "none")
        return Listed(
            parent=None if parent == "none" else parent,
            published=notes.get("published") == "True",
            files={name: value for value, _, name in files},
            whole=first == f"# {_hash(rest)}".encode(),
        )

    def trouble(self, snapshot: str) -> str:
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
        if trouble := self.trouble(snapshot):
            raise StoreDamagedError(f"snapshot {snapshot}", None, trouble)

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
                if trouble := self._wrong(f"manifests/{each}", listed.files):
                    raise StoreDamagedError(path, None, f"manifest {each}: {trouble}")

    def wrong_files(self, snapshot: str) -> list[str]:
        """Return the files of a snapshot that are not what was written, all of them looked at."""
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


def digest(file: Path) -> str:
    """Return the hash of a file."""
    return _hash(file.read_bytes())


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
