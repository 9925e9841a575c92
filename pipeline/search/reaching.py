"""Whether a host can be reached: names are resolved with a time limit, which the resolver itself lacks."""

from __future__ import annotations

import queue
import socket
import threading

import requests
import urllib3
from requests.utils import select_proxy

from pipeline.shown import excerpt

UNRESOLVED = "name not resolved"


def addresses_of(host: str, port: int, within_s: float) -> int:
    """Return how many addresses a name has.

    Raises
    ------
    OSError
        It has none; a `TimeoutError` if nobody answers in time: without a network a resolver may wait
        for a minute.
    """
    answers: queue.Queue[int | OSError] = queue.Queue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(len(found))
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))

    threading.Thread(target=ask, name=f"resolve-{host}", daemon=True).start()
    try:
        found = answers.get(timeout=max(within_s, 0.1))
    except queue.Empty:
        raise TimeoutError(f"{UNRESOLVED} in {within_s:.0f} s") from None
    if isinstance(found, OSError):
        raise OSError(UNRESOLVED) from found
    return found


def is_proxied(url: str, proxies: dict[str, str]) -> bool:
    """Whether a proxy makes the connection; then it alone may be able to resolve names."""
    return select_proxy(url, proxies) is not None


def why_unreached(error: requests.RequestException) -> str | None:
    """Return briefly why no connection was made; None if one was."""
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    each: BaseException | None = error
    reason = ""
    while each is not None:
        if isinstance(each, urllib3.exceptions.NameResolutionError):
            return UNRESOLVED
        if isinstance(each, urllib3.exceptions.ProxyError):
            return "its proxy does not answer"
        if isinstance(each, urllib3.exceptions.NewConnectionError):
            reason = "no connection"
        if reason and isinstance(each, OSError) and each.strerror:
            return each.strerror.lower()
        inner = each.args[0] if each.args and isinstance(each.args[0], BaseException) else None
        each = getattr(each, "reason", None) or inner or each.__cause__ or each.__context__
    return reason or None


def plain(error: Exception) -> str:
    """Return what went wrong in one line, without the nested exceptions of urllib3."""
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return f"it was silent for too long ({type(error).__name__})"
    return f"{type(error).__name__}: {excerpt(error, 200)}"
