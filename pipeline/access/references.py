"""Hrefs of documents: where each leads, and how one is written.

An href in STAC is a URI reference (RFC 3986), resolved against the place of its document. A local path is
not a URL: `#`, `?` and `%` are ordinary characters of names. Many documents have plain file names where a
reference is required, so a relative href is used as written if there is such a file, and percent-decoded
otherwise. The part after a `#` or `?` is never removed from a name: another file would silently be read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from urllib.parse import quote, unquote_to_bytes, urljoin

from pipeline.access.trust import file_exists, is_remote, path_of_url

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
"""Two letters at least: one is a drive of Windows."""


def resolved(href: str, base: str) -> str:
    """Return the absolute location that an href means: a URL, or a path letter by letter.

    Parameters
    ----------
    href
        As a document has it: a URL, a path, or relative.
    base
        Where the document lies: an http(s) URL, or an absolute path of this machine.
    """
    is_url = "://" in href and _SCHEME.match(href)
    if not href or is_url or href[:5].lower() == "file:":
        from_here = href[:5].lower() == "file:" and not is_remote(base)
        return path_of_url(href) if from_here else href
    if is_remote(base):
        return urljoin(base, href)
    return os.path.normpath(href) if os.path.isabs(href) else _found(href, base)


def _found(href: str, base: str) -> str:
    """Return the path that a relative href means beside a file."""
    found = next((path for path in _meant(href, base) if file_exists(path)), None)
    # `HDF5:…`: for `trust.refused` to name.
    return found or (href if _SCHEME.match(href) else _beside(href, base))


def reference(path: Path, folder: Path) -> str:
    """Write a path of this machine as an href of a document in a folder; `resolved` reads it back.

    Relative to the folder; a ``file:`` URL where that cannot be, on another drive.
    """
    try:
        relative = Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return path.as_uri()
    written = quote(os.fsencode(relative))
    if written != relative and file_exists(_beside(written, str(folder / "document"))):
        # That name, too, is there, and would be taken first.
        return path.as_uri()
    return written


def _meant(href: str, base: str) -> Iterator[str]:
    """Yield the paths that a relative href may mean beside a file; usually one."""
    yield _beside(href, base)
    decoded = os.fsdecode(unquote_to_bytes(href))
    # An encoded slash does not part a path (RFC 3986, 2.2), and no name has one: it would lead to another place.
    if decoded != href and decoded.count("/") == href.count("/"):
        yield _beside(decoded, base)
    if os.sep == "/" and "\\" in href and PureWindowsPath(href).name not in ("", ".."):
        # Written on Windows; never a folder above the document.
        yield _beside(href.replace("\\", "/"), base)


def _beside(href: str, base: str) -> str:
    return os.path.normpath(os.path.join(os.path.dirname(base), href))
