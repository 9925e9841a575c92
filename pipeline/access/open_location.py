"""How a location is opened: the path and the options that GDAL gets."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from pipeline.access import network
from pipeline.access.answer_cache import AnswerCache, Cached
from pipeline.access.locations import (
    Location,
    find_storage,
    is_signed,
    locate,
    unsigned,
    valid_until,
)
from pipeline.access.signing import account_of, forget_sas_token, sign
from pipeline.access.trust import BUCKETS, SCHEMES, allowed, path_of_url, refused
from pipeline.catalogs import Storage
from pipeline.errors import AccessError
from pipeline.shown import shown

CONNECTIONS = 16
"""Concurrent reads from an unknown host."""
LOCAL_CONNECTIONS = 64
LEAST_LIFE_S = 60.0
"""A signature that expires sooner is renewed: a read takes a while."""
DISTRUST_S = 3600.0
NOTHING: Mapping[str, str] = MappingProxyType({})

_DISTRUSTED: AnswerCache[bool] = AnswerCache(8192)
"""Signed locations that were refused although their signature had not expired."""


@dataclass(frozen=True, slots=True, repr=False)
class Opening:
    """How GDAL opens a location now; made for each read, because tokens expire."""

    path: str
    """What GDAL opens: ``/vsicurl/…``, ``/vsis3/…`` or a path of this machine."""
    options: Mapping[str, str]
    """GDAL's options for this read: tokens, who pays, the endpoint."""
    host: str | None
    """Host or bucket, for limits; none: a file of this machine."""
    connections: int
    """Concurrent reads that the host allows."""

    def __repr__(self) -> str:
        """Show where, not with which secrets."""
        names = ", ".join(self.options) or "none"
        return f"Opening({shown(self.path)!r}, options: {names})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Refuse to be pickled: it has secrets, and would be stale on arrival."""
        raise TypeError("an Opening is not pickled; make it in the process that reads")


def opening(href: str, *, remote: bool, hosts: Collection[str] = ()) -> Opening:
    """Return how a location is opened; call it just before each read.

    Checks the location again, now with the names resolved and the redirects of unknown hosts
    followed, and signs it. Any number of threads may call it; answers of servers are cached for
    as long as they are valid.

    Parameters
    ----------
    href
        Absolute location of an asset.
    remote
        Whether the document that contains it is remote, not a file of this machine.
    hosts
        Hosts (``host`` or ``host:port``) that may be read although their address is private.

    Raises
    ------
    AccessError
        It may not be read, or not without an account; trying again does not help.
    AccessUnavailableError
        A name server, token server or host did not answer.
    """
    if (reason := refused(href, remote=remote, hosts=hosts)) is not None:
        raise AccessError(f"{shown(href)} is not read: {reason}")
    parts = urlsplit(href)
    if parts.scheme.lower() not in SCHEMES:
        path = path_of_url(href) if parts.scheme.lower() == "file" else href
        return Opening(path, NOTHING, None, LOCAL_CONNECTIONS)
    # `geturl` writes the scheme in the small letters that GDAL compares with.
    location, storage = find_storage(parts.geturl())
    if storage is None:
        return _of_nobody(location, hosts)
    return _of_storage(location, storage, hosts)


def forget(href: str) -> None:
    """Drop what is cached for a location that was refused (401, 403) or not found.

    The next `opening` gets a new token, follows redirects anew, and replaces a signature in the location
    itself, where it can.
    """
    parts = urlsplit(href)
    if parts.scheme.lower() not in SCHEMES:
        return
    location, storage = find_storage(parts.geturl())
    if storage is None:
        # Keep a signature that cannot be renewed here: a busy host answers 403, too.
        network.forget_target(location.url)
        return
    if is_signed(location.parts):
        far = time.time() + DISTRUST_S
        _DISTRUSTED.get(location.url.partition(":")[2], lambda: Cached(True, far, far))
    if storage.tokens is not None:
        forget_sas_token(storage.tokens, *account_of(location))


def _of_storage(location: Location, storage: Storage, hosts: Collection[str]) -> Opening:
    if location.parts.scheme == "http" and not allowed(location.parts, hosts):
        # All storages support TLS, and no token may be sent without it.
        location = locate(location.parts._replace(scheme="https").geturl())
    if location.host and is_signed(location.parts) and _signature_holds(location):
        path, options = f"/vsicurl/{location.url}", NOTHING
    else:
        path, options = sign(locate(unsigned(location.parts)), storage)
    host = storage.endpoint or location.host or location.bucket
    return Opening(path, MappingProxyType(dict(options)), host, storage.connections)


def _of_nobody(location: Location, hosts: Collection[str]) -> Opening:
    """Open a location on a host, or in a bucket, that is in no table."""
    if not location.host:
        way = BUCKETS[location.parts.scheme]
        bucket = location.parts.netloc
        return Opening(f"{way}{bucket}/{location.key}", NOTHING, bucket, CONNECTIONS)
    if is_signed(location.parts) and not _signature_holds(location):
        raise AccessError(
            f"{shown(location.url)} is not read: its signature has ended, and "
            f"nobody here can sign for {location.host}; search again for items with new links"
        )
    target = network.reached(location.url, hosts)
    return Opening(f"/vsicurl/{target}", NOTHING, urlsplit(target).hostname, CONNECTIONS)


def _signature_holds(location: Location) -> bool:
    if _DISTRUSTED.is_fresh(location.url.partition(":")[2]):
        return False
    end = valid_until(location.parts)
    return end is None or end.timestamp() > time.time() + LEAST_LIFE_S
