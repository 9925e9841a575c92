"""Which locations may be read at all: judged from the text alone, before any request.

A catalogue and its items are untrusted input, and GDAL reads far more than files: it takes XML and
JSON for data sets, prefixes for drivers, `/vsi` paths for archives, programs' memory and other hosts.
So a location is a plain path or a plain URL of a few schemes, or it is refused.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Collection
from urllib.parse import SplitResult, unquote, unquote_to_bytes, urlsplit

from pipeline.access.addresses import plain_host, why_not_public

WEB = ("https", "http")
BUCKETS = {"s3": "/vsis3/", "gs": "/vsigs/", "az": "/vsiaz/", "abfs": "/vsiaz/"}
"""Schemes whose authority is a bucket or container, and GDAL's way to it."""
SCHEMES = (*WEB, *BUCKETS)
"""Schemes that a remote document may point at."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_VSI = re.compile(r"[/\\.]*vsi[a-z0-9_]*([/?\\]|$)", re.IGNORECASE)
_PREFIX = re.compile(r"([A-Za-z][A-Za-z0-9_+.-]+):")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]")


def is_remote(location: str) -> bool:
    """Whether a document comes from another machine: its location is an http(s) URL."""
    return location.strip().lower().startswith(tuple(f"{scheme}://" for scheme in WEB))


def path_of_url(href: str) -> str:
    """Return the path of a ``file:`` URL; one that names another machine, or none, stays as it is.

    Whatever stands behind the host is the path, since `#` and `?` are letters of names: a URL that was
    made by putting ``file://`` before a path means that path.
    """
    rest = href[len("file:") :]
    if rest.startswith("//"):
        host, slash, below = rest[2:].partition("/")
        if host.lower() not in ("", "localhost"):
            return href
        rest = slash + below
    if not rest.startswith("/"):
        return href
    decoded = os.fsdecode(unquote_to_bytes(rest))
    return decoded if file_exists(decoded) or not file_exists(rest) else rest


def file_exists(path: str) -> bool:
    """Whether there is such a file; false for texts that cannot be a path."""
    try:
        return os.path.lexists(path)
    except ValueError:
        return False


def refused(href: str, *, remote: bool, hosts: Collection[str] = ()) -> str | None:
    """Return why a location may not be read, in plain words; none: it may.

    No name server or host is contacted: `opening` checks more just before a read.

    Parameters
    ----------
    href
        Absolute location of an asset.
    remote
        Whether the document that contains it is remote, not a file of this machine.
    hosts
        Hosts (``host`` or ``host:port``) that may be read although their address is private.
    """
    if (reason := _trick(href)) is not None:
        return reason
    prefix = _PREFIX.match(href)
    scheme = prefix[1].lower() if prefix else ""
    if scheme in ("", "file"):
        return _refused_path(href) if not remote else _on_this_machine(scheme)
    if prefix is not None and href[prefix.end() : prefix.end() + 2] != "//":
        return f"{prefix[0]} is a driver's prefix or no known scheme; only plain paths and URLs are read"
    if scheme not in SCHEMES:
        return f"its scheme is {scheme}; only {', '.join(SCHEMES)} are read"
    return _refused_url(href, hosts)


def allowed(parts: SplitResult, hosts: Collection[str]) -> bool:
    """Whether a job names the host of a URL as one that may be read even on a private network."""
    named = {host.lower() for host in hosts}
    host = plain_host(parts.hostname or "")
    with_port = f"[{host}]:{port_of(parts)}" if ":" in host else f"{host}:{port_of(parts)}"
    return bool({host, with_port} & named)


def port_of(parts: SplitResult) -> int:
    """Return the port of an http(s) URL, which may be left out in it."""
    return parts.port or (443 if parts.scheme == "https" else 80)


@functools.lru_cache(maxsize=8192)
def _trick(href: str) -> str | None:
    """Return why a location is refused whichever document it is from; none: nothing found.

    Its answer is kept, since every window of a raster asks.
    """
    reasons = (
        (not href.strip(), "it is empty"),
        (_CONTROL.search(href), "it holds control characters"),
        # Names of files may end so; a URL that does was pasted.
        (href[:1] != "/" and href != href.strip(), "it begins or ends with spaces"),
        (href[:1] in ("<", "{", "["), "it is a data set spelt out in XML or JSON"),
        (_VSI.match(href), "it is a /vsi path of GDAL; only plain paths and URLs are read"),
    )
    return next((reason for found, reason in reasons if found), None)


def _on_this_machine(scheme: str) -> str:
    what = f"{scheme}:" if scheme else "a path"
    return f"it points at {what} of this machine, in a document that came from elsewhere"


def _refused_path(href: str) -> str | None:
    if href[:5].lower() != "file:":
        return None
    host = urlsplit(href).netloc
    if host.lower() not in ("", "localhost"):
        return f"it names a file of another machine, {host}"
    path = path_of_url(href)
    if not path.startswith("/") or _trick(path) is not None:
        return "it is no plain path behind file:"
    return None


def _refused_url(href: str, hosts: Collection[str]) -> str | None:
    try:
        parts = urlsplit(href)
        port_of(parts)
    except ValueError as error:
        return f"it is no URL: {error}"
    reasons = (
        ("\\" in href, "it holds a backslash"),
        (
            "@" in parts.netloc,
            "it holds a user name or password; those belong in the environment",
        ),
    )
    if (reason := next((reason for found, reason in reasons if found), None)) is not None:
        return reason
    return _refused_bucket(parts) if parts.scheme in BUCKETS else _refused_host(parts, hosts)


def _refused_host(parts: SplitResult, hosts: Collection[str]) -> str | None:
    # curl decodes percent signs and folds other scripts' digits; nobody honest writes either.
    if not parts.hostname or not parts.netloc.isascii() or "%" in parts.netloc:
        return "its host is not written plainly"
    if allowed(parts, hosts) or (what := why_not_public(parts.hostname)) is None:
        return None
    return f"it leads to {what}; a job that trusts it names it in cube.hosts"


def _refused_bucket(parts: SplitResult) -> str | None:
    if not _BUCKET.fullmatch(parts.netloc) or ".." in parts.netloc:
        return f"{parts.netloc!r} is no name of a bucket"
    # Of a key every letter counts, also those that end the path of other URLs.
    if ".." in unquote("/".join(parts[2:])).split("/"):
        return "it leaves its bucket by .."
    return None
