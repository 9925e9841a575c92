"""One document over HTTP: retried where that can help, bounded in time and size.

Every URL that a catalogue's link or redirect leads to is checked before it is requested: files of this
machine and private addresses of other hosts are refused. The catalogue's own URL comes from the user and
may be anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from copy import copy
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin, urlsplit

import pystac
import requests
from pystac.link import HREF
from pystac_client.stac_api_io import StacApiIO
from requests import codes, exceptions

from pipeline import access
from pipeline.access import Verdict
from pipeline.catalogs import Catalog
from pipeline.cost import METER
from pipeline.errors import CatalogUnavailableError, SearchError
from pipeline.search.limits import RequestLimits, rate_limit
from pipeline.search.reaching import addresses_of, is_proxied, plain, why_unreached
from pipeline.search.response import TOO_LARGE, FailedRequest, content, json_object
from pipeline.shown import excerpt, shown
from pipeline.types import Cost

_REDIRECTS = 5


class PageTooLargeError(Exception):
    """A page is too large for the catalogue: request smaller ones."""


class _NeverReached(FailedRequest):
    """No connection was made, now or ever."""


class CatalogIO(StacApiIO):
    """Reads the documents of one catalogue, for pystac_client and for us.

    Parameters
    ----------
    name
        Name of the catalogue in the job and in errors.
    catalog
        Its row.
    limits
        How long to wait for it, and how much to read.
    hosts
        Hosts with private addresses that links may lead to.
    report
        Called with a line of text when the catalogue is searched, and at each retry.
    """

    def __init__(
        self,
        name: str,
        catalog: Catalog,
        *,
        limits: RequestLimits,
        hosts: Collection[str] = (),
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(max_retries=None)
        self.name = name
        self.home = urlsplit(catalog.url)
        self.limits = limits
        self.hosts = hosts
        self.splittable = False
        """Whether a page that is too large may be asked for in smaller ones."""
        self._rate_limit = rate_limit(catalog.url, catalog.requests_per_second)
        self._report = report
        self._ends = time.monotonic() + limits.search_s
        self._reach_by = time.monotonic() + limits.reach_s
        self._reached = False
        """Whether any connection was ever made."""

    def read_json(self, source: HREF, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the JSON object at a URL, or at a link with method, headers and body.

        Raises
        ------
        CatalogUnavailableError
            No attempt got an answer.
        SearchError
            The answer is no JSON object, or the location is refused.
        PageTooLargeError
            It is `splittable` and too large.
        """
        del args
        if not isinstance(source, pystac.Link):
            method = (kwargs.get("method") or "GET").upper()
            return self._read(_request(method, str(source), kwargs.get("parameters") or {}))
        link = source.to_dict()
        if str(link.get("method", "GET")).upper() != "POST":
            return self._read(_request("GET", link["href"], {}, link.get("headers")))
        body = link.get("body") or {}
        if link.get("merge"):
            body = {**(kwargs.get("parameters") or {}), **body}
        return self._read(_request("POST", link["href"], body, link.get("headers")))

    def unreadable(self, what: str) -> SearchError:
        """Return the error for an answer that is not STAC."""
        return SearchError(
            f"catalogue {self.name} is no STAC catalogue that can be read: {what}; check the URL, or "
            "point the job at a saved item collection"
        )

    def _read(self, request: requests.Request) -> dict[str, Any]:
        """Send a request until it is answered, or no further attempt is worth it."""
        if not self._reached:
            self._report(f"asking {self._who}")
        retry = self.limits.retry
        left = self._ends - time.monotonic()
        made = 0

        def attempt() -> dict[str, Any]:
            nonlocal made
            made += 1
            try:
                return self._once(request)
            except FailedRequest as failure:
                # 413 means that the page is too large; so do 502 and 504 if they come twice.
                often = 1 if failure.status == codes.request_entity_too_large else 2
                if self.splittable and failure.status in TOO_LARGE and made >= often:
                    raise PageTooLargeError from None
                raise

        try:
            return replace(retry, total_s=min(retry.total_s, left)).call(
                attempt, before_wait=self._report_wait
            )
        except FailedRequest as failure:
            raise self._given_up(failure, made) from failure

    def _report_wait(self, failure: Exception, wait_s: float) -> None:
        self._report(f"{self.name}: {failure}; trying again in {wait_s:.0f} s")

    @property
    def _who(self) -> str:
        url = shown(self.home.geturl())
        return url if self.name == self.home.geturl() else f"{self.name} ({url})"

    def _given_up(self, failure: FailedRequest, attempts: int) -> SearchError:
        times = "" if attempts == 1 else f" ({attempts} attempts)"
        if failure.error is not CatalogUnavailableError:
            return self.unreadable(f"{failure}{times}")
        if isinstance(failure, _NeverReached):
            return CatalogUnavailableError(
                f"cannot reach {self._who}: {failure}{times}; is this machine online? A saved item "
                "collection needs no network"
            )
        wait_s = failure.retry_after_s
        asks = "" if wait_s is None else f", it asks to wait {wait_s:.0f} s"
        return CatalogUnavailableError(
            f"catalogue {self.name} did not answer: {failure}{asks}{times}; try again later, or "
            "point the job at a saved item collection"
        )

    def _once(self, request: requests.Request) -> dict[str, Any]:
        self._rate_limit.wait()
        ends = min(time.monotonic() + self.limits.answer_s, self._ends)
        hop = copy(request)
        for _ in range(_REDIRECTS + 1):
            self.check(str(hop.url))
            with self._sent(hop) as response:
                target = response.headers.get("location") if response.is_redirect else None
                if target is None:
                    return json_object(response, content(response, self.limits, ends))
            # Keep the method: a POST that becomes a GET loses its body, and with it every condition.
            hop.url, hop.params = urljoin(response.url, target), {}
        what = f"more than {_REDIRECTS} redirects from {request.url!s}"
        raise FailedRequest(what, Verdict.PERMANENT)

    def check(self, url: str) -> None:
        """Refuse a URL that a remote document may not lead to.

        Raises
        ------
        SearchError
            It is refused; the message says why.
        """
        parts = urlsplit(url)
        own = (parts.scheme in ("http", "https")) and parts.netloc == self.home.netloc
        reason = None if own else access.refused(url, remote=True, hosts=self.hosts)
        if reason is None and not access.is_remote(url):
            reason = "it is no http(s) URL"
        if reason is not None:
            raise SearchError(
                f"catalogue {self.name} leads to {excerpt(url, 200)}, which is refused: {reason}"
            )

    def _sent(self, request: requests.Request) -> requests.Response:
        METER.add(Cost(requests=1))
        try:
            prepared = self.session.prepare_request(request)
            settings = self.session.merge_environment_settings(
                prepared.url or "", {}, True, None, None
            )
            connect_s = self._connect_s(prepared.url or "", settings["proxies"])
            answer = self.session.send(
                prepared,
                timeout=(connect_s, self.limits.silence_s),
                allow_redirects=False,
                **settings,
            )
        except (exceptions.InvalidURL, exceptions.MissingSchema) as error:
            what = f"it leads to {request.url!r}: {error}"
            raise FailedRequest(what, Verdict.PERMANENT) from error
        except requests.RequestException as error:
            why = why_unreached(error)
            self._reached = self._reached or why is None
            if self._reached:
                raise FailedRequest(why or plain(error)) from error
            raise _NeverReached(why or "", deadline=self._reach_by) from error
        self._reached = True
        return answer

    def _connect_s(self, url: str, proxies: dict[str, str]) -> float:
        """Return the timeout of a connection; that of the first covers all addresses of its host."""
        parts = urlsplit(url)
        if self._reached or not parts.hostname or is_proxied(url, proxies):
            return self.limits.connect_s
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            count = addresses_of(parts.hostname, port, self._reach_by - time.monotonic())
        except OSError as error:
            raise _NeverReached(str(error), deadline=self._reach_by) from error
        left = self._reach_by - time.monotonic()
        return min(self.limits.connect_s, max(left / count, 1.0))


def _request(
    method: str,
    href: str,
    parameters: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
) -> requests.Request:
    made = requests.Request(method, href, headers=dict(headers or {}))
    if method == "POST":
        made.json = dict(parameters)
    else:
        made.params = dict(parameters)
    return made
