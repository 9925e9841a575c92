"""A folder that replaces another one when it is complete."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline.errors import ConfigError, StoreConflictError
from pipeline.shown import escape_json

CATALOGUE = "catalog.json"
MARK = "cloudmask:snapshot"
"""The key that marks a catalogue as ours."""
COGS, WHOLE = "cloudmask:cogs", "cloudmask:whole"
"""Whether items have their pixels beside them, and whether all of the store is there."""
LOCK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder while it is written."""

    target: Path
    """Its final path."""
    new: Path
    """Path while it is written."""

    def write(self, path: str, document: Any) -> None:  # noqa: ANN401 (JSON)
        """Write a document with keys in their order, so that equal documents give equal bytes."""
        file = self.new / path
        file.parent.mkdir(parents=True, exist_ok=True)
        text = escape_json(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
        file.write_text(text + "\n", encoding="utf-8")

    def read(self, path: str) -> dict[str, Any] | None:
        """Read a document of the folder that this one replaces; None if it has no such document."""
        try:
            found = json.loads((self.target / path).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def keep(self, path: str) -> None:
        """Reuse a subfolder of the folder that this one replaces."""
        source, new = self.target / path, self.new / path
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, new, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def is_current(out: str | Path, snapshot: str, *, cogs: bool) -> bool:
    """Return whether a folder has the catalogue of a whole store at a snapshot."""
    try:
        found = json.loads((Path(out) / CATALOGUE).read_text(encoding="utf-8"))
        return (found[MARK], found[COGS], found[WHOLE]) == (snapshot, cogs, True)
    except (OSError, ValueError, KeyError, TypeError):
        return False


@contextmanager
def replaced(out: Path) -> Iterator[Folder]:
    """Make a folder that replaces `out` at the end; on an error `out` stays as it is.

    Between two renames `out` is missing for an instant; if the machine stops there, the next call first restores the
    old folder.

    Raises
    ------
    ConfigError
        `out` exists and is not a catalogue that cloudmask wrote, or cannot be written.
    StoreConflictError
        Another process is writing it.
    """
    target = out.expanduser().absolute()
    new, old = (target.with_name(f".{target.name}.{each}") for each in ("new", "old"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target):
            _recover(target, new, old)
            _require_ours(target)
            new.mkdir()
            try:
                yield Folder(target=target, new=new)
                _swap(new, target, old)
            finally:
                shutil.rmtree(new, ignore_errors=True)
    except OSError as error:
        raise ConfigError(f"OUT: cannot write {target}: {error.strerror or error}") from error


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    lock = target.with_name(f".{target.name}.lock")
    try:
        with FileLock(lock, timeout=LOCK_SECONDS):
            yield
    except Timeout:
        raise StoreConflictError(
            f"another `cloudmask stac` writes to {target} (it holds {lock}): wait until it ends"
        ) from None


def _recover(target: Path, new: Path, old: Path) -> None:
    """Clean up after a process that was killed."""
    if new.exists():
        shutil.rmtree(new)
    if old.exists():
        if target.exists():
            shutil.rmtree(old)
        else:
            old.rename(target)


def _require_ours(target: Path) -> None:
    """Refuse to replace anything but a catalogue that cloudmask wrote: a wrong path must not delete anything."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    try:
        found = json.loads((target / CATALOGUE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or MARK not in found:
        raise ConfigError(
            f"OUT: {target} is there and is no catalogue that cloudmask wrote: name another folder, "
            "or remove it yourself"
        )


def _swap(new: Path, target: Path, old: Path) -> None:
    if not target.exists():
        new.rename(target)
        return
    target.rename(old)
    new.rename(target)
    shutil.rmtree(old)
