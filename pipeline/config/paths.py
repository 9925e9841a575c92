"""The paths and URLs of a job: made absolute, and kept apart."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.catalogs import CATALOGS
from pipeline.shown import shown
from pipeline.wording import did_you_mean

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def catalog_location(text: str, base: Path) -> str:
    """Return the name or URL of a catalogue as it is, or the absolute path of its file.

    Raises
    ------
    ValueError
        It is none of these, or a URL with a secret; the message says what is expected.
    """
    _refuse_secret(text)
    if text in CATALOGS or _URL.match(text):
        return text
    path = _absolute(text, base)
    if not exists(path):
        hint = did_you_mean(text, CATALOGS)
        raise ValueError(f"{' | '.join(CATALOGS)}{hint}, a URL, or a file (there is no {path})")
    return str(path)


def store_url(text: str, base: Path) -> str:
    """Return the absolute path or the URL of a store.

    Raises
    ------
    ValueError
        The URL has a secret in it; the message says what is expected.
    """
    _refuse_secret(text)
    return text if _URL.match(text) else str(_absolute(text, base))


def local_folder(text: str, base: Path) -> str:
    """Return the absolute path of a folder.

    Raises
    ------
    ValueError
        It is a URL; the message says what is expected.
    """
    if _URL.match(text):
        raise ValueError("a local folder; copy it to where it is served afterwards")
    return str(_absolute(text, base))


def local_path(url: str) -> Path | None:
    """Return the local path of a store or a catalogue; none: it is elsewhere."""
    text = url.removeprefix("zarr+")
    if "://" not in text:
        return Path(text).expanduser().resolve()
    parts = urlsplit(text)
    return Path(unquote(parts.path)).resolve() if parts.scheme == "file" else None


def require_apart(out: Path, store: str, catalogues: Iterable[str] = ()) -> None:
    """Refuse an output that is the store, lies in it or round it, or replaces a catalogue that is read.

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
    path, stored = out.expanduser().resolve(), local_path(store)
    if stored is not None and (path.is_relative_to(stored) or stored.is_relative_to(path)):
        raise ValueError(
            f"a path apart from the store {stored}: {path} is in it, round it, or the same"
        )
    for each in catalogues:
        read = local_path(each)
        if read is not None and read.is_relative_to(path):
            raise ValueError(
                f"a path apart from the catalogue {read}, which is read: {path} would replace it"
            )


def exists(path: Path) -> bool:
    """Tell whether a file exists; a text that cannot be a path does not."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def holds_secret(text: str) -> bool:
    """Tell whether a text is a URL with a login, or with a parameter that is not known to be harmless."""
    return "://" in text and shown(text) != text


def _absolute(text: str, base: Path) -> Path:
    return (base / Path(text).expanduser()).resolve()


def _refuse_secret(text: str) -> None:
    if holds_secret(text):
        raise ValueError(
            "a URL without password or token, whose parameters are known to be harmless; logins "
            "belong in the environment (~/.netrc), and many people read where a job is stored"
        )
