"""One document over HTTP: tried again where that can help, bounded in time and size.

Everything that a document from elsewhere points at is judged before it is asked for: a catalogue on
the web can name neither files of this machine nor private addresses of other hosts, by link or by
redirect. The catalogue's own URL is the user's and may lie anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import pystac
import requests
import urllib3
from pystac.link import HREF
from pystac_client.stac_api_io import StacApiIO
from urllib3.util import Retry

from pipeline import access
from pipeline.catalogs import Catalog
from pipeline.errors import CatalogUnavailableError, SearchError
from pipeline.search.documents import parsed
from pipeline.search.patience import (
    NONSENSE,
    TOO_LARGE,
    Failure,
    Patience,
    failure_of_status,
    pace_of,
)
from pipeline.search.reaching import addresses_of, is_proxied, plain, why_unreached
from pipeline.shown import heard, shown
from pipeline.types import Cost
from pipeline.types.record import METER

_REDIRECTS = 5


class PageTooLargeError(Exception):
    """A page that the catalogue cannot put together: to be asked for in smaller ones."""


class CatalogIO(StacApiIO):
    """What reads documents of one catalogue, for pystac_client and for us.

    Parameters
    ----------
    name
        What the job calls the catalogue; errors do too.
    catalog
        Its row.
    patience
        How long to wait for it.
    hosts
        Hosts of private addresses that links may lead to.
    said
        Hears that the catalogue is asked, and when it is tried again.
    """

    def __init__(
        self,
        name: str,
        catalog: Catalog,
        *,
        patience: Patience,
        hosts: Collection[str] = (),
        said: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(max_retries=None)
        self.name = name
        self.home = urlsplit(catalog.url)
        self.patience = patience
        self.hosts = hosts
        self.splittable = False
        """Whether a page that is too large may be asked for in smaller ones."""
        self._pace = pace_of(catalog.url, catalog.requests_per_second)
        self._said = said
        self._begun = time.monotonic()
        self._ends = self._begun + patience.search_s
        self._reached = False
        """Whether a connection stood, ever."""

    def read_json(self, source: HREF, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the JSON object at a URL, or at a link with method, headers and body.

        Raises
        ------
        CatalogUnavailableError
            No answer, however often it was asked.
        SearchError
            The answer is no JSON object, or the location is refused.
        PageTooLargeError
            It is `splittable` and too large.
        """
        if isinstance(source, pystac.Link):
            link = source.to_dict()
            body = link.get("body") or {}
            if link.get("merge"):
                body = {**(kwargs.get("parameters") or {}), **body}
            post = str(link.get("method", "GET")).upper() == "POST"
            return self._patiently(
                link["href"],
                "POST" if post else "GET",
                body if post else {},
                link.get("headers"),
            )
        del args
        method = (kwargs.get("method") or "GET").upper()
        return self._patiently(str(source), method, kwargs.get("parameters") or {}, None)

    def unreadable(self, what: str) -> SearchError:
        """Return the error for an answer of this catalogue that is not what STAC says."""
        return SearchError(
            f"catalogue {self.name} is no STAC catalogue that can be read: {what}; check the URL, or "
            "point the job at a saved item collection"
        )

    def _patiently(
        self,
        href: str,
        method: str,
        parameters: Mapping[str, Any],
        headers: Mapping[str, str] | None,
    ) -> dict[str, Any]:
        ends = min(time.monotonic() + self.patience.document_s, self._ends)
        if not self._reached:
            self._said(f"asking {self._who}")
        for attempt, wait in enumerate(self.patience.waits(), start=1):
            try:
                return self._once(href, method, parameters, headers)
            except Failure as failure:
                # Once by chance; twice, and it is the size.
                again = 1 if failure.status == requests.codes.request_entity_too_large else 2
                if self.splittable and failure.status in TOO_LARGE and attempt >= again:
                    raise PageTooLargeError from None
                asked = failure.retry_after_s
                wait_s = wait if asked is None else asked + wait * 0.1
                last = attempt >= (failure.attempts or self.patience.attempts)
                if failure.unreached and not self._reached:
                    ends = min(ends, self._begun + self.patience.reach_s)
                if last or time.monotonic() + wait_s > ends:
                    raise self._given_up(failure, attempt) from failure
                self._said(f"{self.name}: {failure}; trying again in {wait_s:.0f} s")
                time.sleep(wait_s)
        raise AssertionError("waits never end")

    @property
    def _who(self) -> str:
        url = shown(self.home.geturl())
        return url if self.name == self.home.geturl() else f"{self.name} ({url})"

    def _given_up(self, failure: Failure, attempt: int) -> SearchError:
        times = "" if attempt == 1 else f" ({attempt} attempts)"
        if failure.final is not CatalogUnavailableError:
            return self.unreadable(f"{failure}{times}")
        if failure.unreached and not self._reached:
            return CatalogUnavailableError(
                f"cannot reach {self._who}: {failure}{times}; is this machine online? A saved item "
                "collection needs no network"
            )
        asks = (
            ""
            if failure.retry_after_s is None
            else f", it asks to wait {failure.retry_after_s:.0f} s"
        )
        return CatalogUnavailableError(
            f"catalogue {self.name} did not answer: {failure}{asks}{times}; try again later, or "
            "point the job at a saved item collection"
        )

    def _once(
        self,
        href: str,
        method: str,
        parameters: Mapping[str, Any],
        headers: Mapping[str, str] | None,
    ) -> dict[str, Any]:
        self._pace.wait()
        ends = min(time.monotonic() + self.patience.answer_s, self._ends)
        body: dict[str, Any] = (
            {"json": dict(parameters)} if method == "POST" else {"params": dict(parameters)}
        )
        url = href
        for _ in range(_REDIRECTS + 1):
            self.check(url)
            request = requests.Request(method, url, headers=dict(headers or {}), **body)
            with self._sent(request) as response:
                target = response.headers.get("location") if response.is_redirect else None
                if target is None:
                    return self._understood(response, self._content(response, ends))
            # Kept as it is: a POST that becomes a GET loses its body, and answers everything.
            url = urljoin(response.url, target)
            body.pop("params", None)
        raise Failure(
            f"more than {_REDIRECTS} redirects from {href}", attempts=1, final=SearchError
        )

    def check(self, url: str) -> None:
        """Refuse a URL that a document from elsewhere may not lead to.

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
                f"catalogue {self.name} leads to {heard(url, 200)}, which is refused: {reason}"
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
                timeout=(connect_s, self.patience.silence_s),
                allow_redirects=False,
                **settings,
            )
            self._reached = True
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
            raise Failure(
                f"it leads to {request.url!r}: {error}", attempts=1, final=SearchError
            ) from error
        except requests.RequestException as error:
            why = why_unreached(error)
            self._reached = self._reached or why is None
            raise Failure(why or plain(error), unreached=why is not None) from error
        return answer

    def _connect_s(self, url: str, proxies: dict[str, str]) -> float:
        """Return how long a connection may take: of the first, all addresses of its host together."""
        parts = urlsplit(url)
        if self._reached or not parts.hostname or is_proxied(url, proxies):
            return self.patience.connect_s
        left = self._begun + self.patience.reach_s - time.monotonic()
        port = parts.port or (443 if parts.scheme == "https" else 80)
        count = addresses_of(parts.hostname, port, left)
        left = self._begun + self.patience.reach_s - time.monotonic()
        return min(self.patience.connect_s, max(left / count, 1.0))

    def _content(self, response: requests.Response, ends: float) -> bytes:
        """Read an answer whole; what is cut off, stalls or never ends is a failure."""
        chunks: list[bytes] = []
        size = 0
        try:
            while chunk := response.raw.read1(2**20, decode_content=True):
                chunks.append(chunk)
                size += len(chunk)
                if size > self.patience.document_bytes:
                    raise Failure(
                        f"{heard(response.url, 200)} is larger than {self.patience.document_bytes} bytes",
                        attempts=1,
                        final=SearchError,
                    )
                if time.monotonic() > ends:
                    raise Failure(
                        f"its answer was not complete in {self.patience.answer_s:g} s"
                    )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Failure(plain(error)) from error
        return b"".join(chunks)

    def _understood(self, response: requests.Response, content: bytes) -> dict[str, Any]:
        kind = response.headers.get("content-type", "nothing said")
        start = heard(content[:3000].decode("utf-8", "replace"))
        if not response.ok:
            raise failure_of_status(response.status_code, start, _retry_after_s(response))
        try:
            document = parsed(content)
        except (ValueError, RecursionError):
            what = f"{heard(response.url, 200)} answered no JSON but {start!r} ({kind})"
            raise Failure(what, attempts=NONSENSE, final=SearchError) from None
        if not isinstance(document, dict):
            what = f"{heard(response.url, 200)} answered {start!r}, expected a JSON object"
            raise Failure(what, attempts=1, final=SearchError)
        # A limit can come disguised as a good answer (e-sensing/sits#1560).
        if (
            document.get("code") in (429, "429", "TooManyRequests")
            and "features" not in document
        ):
            raise Failure(
                f"429 in disguise: {start}", retry_after_s=_retry_after_s(response), status=429
            )
        return document


def _retry_after_s(response: requests.Response) -> float | None:
    """Return the seconds of Retry-After, which may also be a date."""
    text = response.headers.get("retry-after")
    try:
        return Retry().parse_retry_after(text) if text else None
    except urllib3.exceptions.InvalidHeader:
        return None
