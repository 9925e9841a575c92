"""Names and redirects of hosts that are in no table, checked just before GDAL reads from them.

What the check cannot prevent: GDAL resolves the name again and follows redirects by itself, so that a
hostile host may answer the check and the read differently (DNS rebinding, a redirect that only GDAL sees).
GDAL 3.10 accepts no resolved address and has no option against redirects. If you read untrusted catalogues
near private services, also block the way to these in the network (egress rules, IMDSv2).
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import time
from collections.abc import Collection
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
from requests.utils import get_environ_proxies, select_proxy

from pipeline.access.addresses import why_not_public_address
from pipeline.access.answer_cache import AnswerCache, Cached
from pipeline.access.failures import Verdict, verdict_of_status
from pipeline.access.locations import find_storage, valid_until
from pipeline.access.trust import WEB, allowed, port_of, refused
from pipeline.cost import METER
from pipeline.errors import AccessError, AccessUnavailableError
from pipeline.shown import shown
from pipeline.types import Cost

TIMEOUT_S = (10.0, 30.0)
"""Timeouts of a connection, and between two bytes of an answer."""
MAX_REDIRECTS = 5
NAMES_S = 60.0
"""How long the verdict on a name is cached."""
STRAIGHT_S = 3600.0
"""How long it is cached that a location does not redirect."""
REDIRECTED_S = 300.0
"""How long a redirect is cached: its target may be signed for minutes only."""

_NAMES: AnswerCache[str | None] = AnswerCache(1024)
_TARGETS: AnswerCache[str] = AnswerCache(8192)


class _WithoutSecrets(logging.Filter):
    """urllib3 logs every request with its query at DEBUG, and a query may hold a signature."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = shown(record.getMessage()), ()
        return True


logging.getLogger("urllib3.connectionpool").addFilter(_WithoutSecrets())


def reached(url: str, hosts: Collection[str]) -> str:
    """Follow the redirects of a URL of an unknown host, check every hop, and return the last.

    One byte of each location is requested, once. GDAL then gets a URL that an honest host does not redirect.

    Raises
    ------
    AccessError
        A hop leads to a location that is refused.
    AccessUnavailableError
        A name server or host did not answer.
    """
    target = _TARGETS.get((url, tuple(sorted(hosts))), lambda: _follow(url, hosts))
    check_name(urlsplit(target), hosts)
    return target


def forget_target(url: str) -> None:
    """Drop the cached target of a URL, whichever hosts a job allows."""
    _TARGETS.drop_where(lambda key: isinstance(key, tuple) and key[0] == url)


def check_name(parts: SplitResult, hosts: Collection[str]) -> None:
    """Resolve a host and check each of its addresses.

    Storages of the tables are not resolved: inside their own cloud they may well answer from
    private addresses, and TLS proves who they are.

    Raises
    ------
    AccessError
        One of the addresses is private.
    AccessUnavailableError
        The name server did not answer.
    """
    host = parts.hostname or ""
    if allowed(parts, hosts) or find_storage(parts.geturl())[1] is not None:
        return
    proxied = select_proxy(parts.geturl(), get_environ_proxies(parts.geturl())) is not None
    reason = _NAMES.get((host, proxied), lambda: _check_host(host, port_of(parts), proxied))
    if reason is not None:
        raise AccessError(
            f"{host} is not read: its name leads to {reason}; a job that trusts it names it in "
            "cube.hosts"
        )


def _check_host(host: str, port: int, proxied: bool) -> Cached[str | None]:
    until = time.time() + NAMES_S
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if proxied:
            # Behind a proxy, perhaps only the proxy can resolve names; it decides what may be reached.
            return Cached(None, until, until)
        raise AccessUnavailableError(
            f"the name of host {host} was not found: {error}"
        ) from None
    reasons = (why_not_public_address(ipaddress.ip_address(entry[4][0])) for entry in found)
    return Cached(next((reason for reason in reasons if reason), None), until, until)


def _follow(url: str, hosts: Collection[str]) -> Cached[str]:
    hop = url
    for _ in range(MAX_REDIRECTS + 1):
        onward = _onward(hop, hosts)
        if onward is None:
            return _cached_target(url, hop)
        reason = refused(onward, remote=True, hosts=hosts)
        if reason is None and urlsplit(onward).scheme not in WEB:
            reason = f"only {' and '.join(WEB)} can be followed"
        if reason is not None:
            raise AccessError(
                f"{shown(url)} is not read: it redirects to {shown(onward)}, and {reason}"
            )
        hop = onward
    raise AccessError(f"{shown(url)} is not read: it redirects more than {MAX_REDIRECTS} times")


def _cached_target(url: str, target: str) -> Cached[str]:
    now = time.time()
    until = now + (STRAIGHT_S if target == url else REDIRECTED_S)
    end = valid_until(urlsplit(target))
    if target != url and end is not None:
        until = min(until, end.timestamp() - 60.0)
    return Cached(target, until, until)


def _onward(url: str, hosts: Collection[str]) -> str | None:
    """Request one byte; return where the host redirects to, or none."""
    parts = urlsplit(url)
    check_name(parts, hosts)
    METER.add(Cost(requests=1))
    try:
        with requests.get(
            url,
            headers={"Range": "bytes=0-0", "Accept-Encoding": "identity"},
            allow_redirects=False,
            # The body is left unread: a host that ignores the range may send a whole file.
            stream=True,
            timeout=TIMEOUT_S,
        ) as answer:
            if verdict_of_status(answer.status_code) is Verdict.TRANSIENT:
                raise AccessUnavailableError(
                    f"{shown(url)} cannot be read for now: HTTP {answer.status_code}"
                )
            redirects = 300 <= answer.status_code < 400
            onward = answer.headers.get("Location") if redirects else None
    except (requests.RequestException, ValueError) as error:
        raise AccessUnavailableError(
            f"{parts.hostname} did not answer: {shown(str(error))}"
        ) from None
    return urljoin(url, onward) if onward else None
