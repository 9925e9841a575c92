"""Host, bucket and key of a location, by which storages are recognised, and the signature in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from pipeline import catalogs
from pipeline.access.trust import BUCKETS
from pipeline.catalogs import Storage

_VIRTUAL = re.compile(
    r"(?P<bucket>.+)\.s3[.-](?:dualstack\.)?(?:[a-z0-9-]+\.)?amazonaws\.com(?:\.cn)?"
)
_PATH = re.compile(r"s3[.-](?:dualstack\.)?(?:[a-z0-9-]+\.)?amazonaws\.com(?:\.cn)?")

_SIGNATURES = {"sig", "signature", "x-amz-signature", "x-goog-signature"}
_SIGNED_BY = re.compile(
    r"sv|ss|srt|sp|se|st|spr|sig|sr|sip|sks|skv|skt|ske|skoid|sktid|saoid|suoid|scid|sdd"
    r"|x-(amz|goog)-.*|awsaccesskeyid|googleaccessid|signature|expires|policy|key-pair-id",
    re.IGNORECASE,
)
"""Parameters of Azure's SAS, of AWS's and Google's signatures (versions 2 and 4), of CloudFront."""


@dataclass(frozen=True, slots=True)
class Location:
    """One plain URL, as `trust.refused` lets it through."""

    url: str
    parts: SplitResult
    host: str
    """Host of the URL; empty where the authority is a bucket."""
    bucket: str
    """S3 bucket, in whichever way it is written; empty where there is none."""
    key: str
    """Name of the object within bucket or host, without leading slash and without escapes."""

    @property
    def container(self) -> str:
        """First segment of the path: a container of Azure."""
        return self.key.partition("/")[0]


def locate(url: str) -> Location:
    """Take a URL apart; ``https://BUCKET.s3.REGION.amazonaws.com/KEY`` is ``s3://BUCKET/KEY``."""
    parts = urlsplit(url)
    if parts.scheme in BUCKETS:
        bucket = parts.netloc if parts.scheme == "s3" else ""
        return Location(url, parts, "", bucket, _key(url, parts))
    # The key in a bucket is a plain name; the path on a host is percent-encoded.
    path = unquote(parts.path.removeprefix("/"))
    host = (parts.hostname or "").rstrip(".")
    if found := _VIRTUAL.fullmatch(host):
        return Location(url, parts, host, found["bucket"], path)
    if _PATH.fullmatch(host):
        bucket, _, key = path.partition("/")
        return Location(url, parts, host, bucket, key)
    return Location(url, parts, host, "", path)


def _key(url: str, parts: SplitResult) -> str:
    """Return the key of ``s3://BUCKET/KEY``, in which nothing is percent-encoded."""
    if is_signed(parts):
        return parts.path.removeprefix("/")
    return url.partition("://")[2].partition("/")[2]


def find_storage(url: str) -> tuple[Location, Storage | None]:
    """Parse a URL and find its storage in the tables; none: it is in no table.

    Where a readable copy of the same file is known (`Storage.same_as`), its location is returned.
    """
    location = locate(url)
    storage = catalogs.storage_of(host=location.host, bucket=location.bucket)
    for path, elsewhere in (storage.same_as if storage else {}).items():
        if location.parts.path.startswith(path):
            return find_storage(elsewhere + unquote(location.parts.path.removeprefix(path)))
    return location, storage


def is_signed(parts: SplitResult) -> bool:
    """Whether a URL contains a signature."""
    return bool(_SIGNATURES & set(_query(parts)))


def valid_until(parts: SplitResult) -> datetime | None:
    """Return when the signature of a URL expires; None if it does not state it in a known way."""
    query = _query(parts)
    try:
        if "se" in query:
            return _instant(query["se"])
        for kind in ("x-amz", "x-goog"):
            if f"{kind}-date" in query:
                begin = datetime.strptime(query[f"{kind}-date"], "%Y%m%dT%H%M%SZ")
                seconds = int(query[f"{kind}-expires"])
                return begin.replace(tzinfo=UTC) + timedelta(seconds=seconds)
        if "expires" in query:
            return datetime.fromtimestamp(int(query["expires"]), UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return None
    return None


def unsigned(parts: SplitResult) -> str:
    """Return a URL without its signature; other parameters stay."""
    if not is_signed(parts):
        return parts.geturl()
    remaining = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if not _SIGNED_BY.fullmatch(name)
    ]
    return parts._replace(query=urlencode(remaining)).geturl()


def _query(parts: SplitResult) -> Mapping[str, str]:
    return {name.lower(): value for name, value in parse_qsl(parts.query)}


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
