"""Local paths, and the check that output does not overwrite a store or a catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit


def local_path(url: str) -> Path | None:
    """Return the local path that a store or a catalogue is at; none: it is somewhere else."""
    text = url.removeprefix("zarr+")
    if "://" not in text:
        return Path(text).expanduser().resolve()
    parts = urlsplit(text)
    return Path(unquote(parts.path)).resolve() if parts.scheme == "file" else None


def require_apart(out: Path, store: str, catalogues: Iterable[str] = ()) -> None:
    """Refuse a place for output that is the store, in it or round it, or the catalogue's own folder.

    Parameters
    ----------
    out
        File or folder to be written.
    store
        Path or URL of the store.
    catalogues
        Paths of catalogue files that are read, or URLs.

    Raises
    ------
    ValueError
        It is one of these; the message says which.
    """
    place, held = out.expanduser().resolve(), local_path(store)
    if held is not None and _touch(place, held):
        raise ValueError(
            f"a place apart from the store {held}: {place} is in it, round it, or the same"
        )
    for each in catalogues:
        read = local_path(each)
        if read is not None and (place == read or place in read.parents):
            raise ValueError(
                f"a place apart from the catalogue {read}, which is read: {place} would take its place"
            )


def _touch(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents
