"""A list of checksums of files, as text that `b2sum` reads; its first line is its own checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


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


def listing(parent: str | None, files: Mapping[str, str], *, published: bool) -> bytes:
    """Return a list as it is stored; its first line is the hash of the rest."""
    lines = [f"# parent {parent or 'none'}", f"# published {published}"]
    lines += [f"{value}  {name}" for name, value in files.items()]
    content = "".join(f"{line}\n" for line in lines).encode("ascii")
    return f"# {hash_of(content)}\n".encode("ascii") + content


def parse_listing(raw: bytes) -> Listed:
    """Read a list, whole or not."""
    first, _, rest = raw.partition(b"\n")
    lines = rest.decode("ascii", "replace").splitlines()
    notes = dict(each[2:].partition(" ")[::2] for each in lines if each.startswith("# "))
    files = (each.partition("  ") for each in lines if not each.startswith("#"))
    parent = notes.get("parent", "none")
    return Listed(
        parent=None if parent == "none" else parent,
        published=notes.get("published") == "True",
        files={name: value for value, _, name in files},
        whole=first == f"# {hash_of(rest)}".encode(),
    )


def digest(file: Path) -> str:
    """Return the hash of a file."""
    return hash_of(file.read_bytes())


def hash_of(content: bytes) -> str:
    """Return the hash of some bytes: BLAKE2b, 128 bits."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()
