"""Authorise reads from a storage: one function for each kind of `catalogs.Signing`.

Each returns the path that GDAL opens and the GDAL options of this one read. The options are documented in
https://gdal.org/en/stable/user/virtual_file_systems.html.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path

import requests
from pydantic import SecretStr
from requests.utils import get_netrc_auth

from pipeline.access.answer_cache import AnswerCache, Cached
from pipeline.access.failures import Verdict, verdict_of_status
from pipeline.access.locations import Location
from pipeline.access.secrets import Credentials
from pipeline.catalogs import Signing, Storage
from pipeline.errors import AccessError, AccessUnavailableError
from pipeline.shown import shown

Signed = tuple[str, Mapping[str, str]]

EARTHDATA = "https://urs.earthdata.nasa.gov"

TOKEN_TIMEOUT_S = (10.0, 30.0)
RENEWAL_MARGIN_S = 300.0
"""A token is renewed this long before its end, or when a fifth of a shorter life is left: it must outlive a read that
begins with it."""

TOKENS: AnswerCache[str] = AnswerCache(256)
"""Tokens of the Planetary Computer: one for each container, requested once, renewed before it expires.

The SDK ``planetary-computer`` 1.0 does the same in principle; its cache is not locked, so that
sixteen threads ask sixteen times, it renews in the last minute only, brings pystac-client along, and
reads its endpoint from the environment alone.
"""


def sign(location: Location, storage: Storage) -> Signed:
    """Return path and options for reading from a storage.

    Raises
    ------
    AccessError
        It needs an account that is not in the environment, or the token is refused.
    AccessUnavailableError
        The token server did not answer.
    """
    return _WAYS[storage.signing](location, storage)


def can_sign(storage: Storage) -> bool:
    """Whether the environment has the account that a storage needs; GDAL handles those of AWS."""
    given = Credentials()
    match storage.signing:
        case "web-login":
            return False
        case "cdse-s3":
            return given.cdse_s3_key is not None and given.cdse_s3_secret is not None
        case "earthdata":
            return given.earthdata_token is not None or _has_netrc()
        case _:
            return True


def _open(location: Location, storage: Storage) -> Signed:
    if location.host:
        return f"/vsicurl/{location.url}", {}
    return _bucket_path(location), {"AWS_NO_SIGN_REQUEST": "YES", **_region(storage)}


def _with_token(location: Location, storage: Storage) -> Signed:
    assert storage.tokens is not None
    token = sas_token(storage.tokens, *account_of(location))
    joint = "&" if location.parts.query else "?"
    return f"/vsicurl/{location.url}{joint}{token}", {}


def sas_token(endpoint: str, account: str, container: str) -> str:
    """Return the query that signs every blob of a container.

    Raises
    ------
    AccessError
        The server gives no token for the container.
    AccessUnavailableError
        It did not answer.
    """
    url = f"{endpoint}/{account}/{container}"
    return TOKENS.get(url, lambda: _request_token(url))


def forget_sas_token(endpoint: str, account: str, container: str) -> None:
    """Forget a token that was refused, unless another thread renewed it meanwhile."""
    TOKENS.drop(f"{endpoint}/{account}/{container}")


def _request_token(url: str) -> Cached[str]:
    key = Credentials().planetary_computer_key
    headers = {"Ocp-Apim-Subscription-Key": key.get_secret_value()} if key else {}
    try:
        answer = requests.get(
            url, headers=headers, timeout=TOKEN_TIMEOUT_S, allow_redirects=False
        )
    except requests.RequestException as error:
        raise AccessUnavailableError(
            f"token server {url} did not answer: {shown(str(error))}"
        ) from None
    if (
        answer.status_code >= 400
        and verdict_of_status(answer.status_code) is not Verdict.TRANSIENT
    ):
        raise AccessError(
            f"token server {url} refuses (HTTP {answer.status_code}); if CLOUDMASK_PLANETARY_COMPUTER_KEY "
            "is set, check it, otherwise the container needs an account"
        )
    try:
        document = answer.json() if answer.ok else {}
        return _renewed_early(str(document["token"]), document["msft:expiry"])
    except (ValueError, KeyError, TypeError):
        raise AccessUnavailableError(
            f"token server {url} gave no token for now (HTTP {answer.status_code})"
        ) from None


def _renewed_early(query: str, expiry: str) -> Cached[str]:
    now = time.time()
    end = datetime.fromisoformat(expiry).timestamp()
    return Cached(query.lstrip("?"), end - min(RENEWAL_MARGIN_S, (end - now) / 5), end)


def account_of(location: Location) -> tuple[str, str]:
    """Return storage account and container of a blob of Azure."""
    return location.host.partition(".")[0], location.container


def _paid_by_reader(location: Location, storage: Storage) -> Signed:
    # "NO" overrides an environment in which requests are unsigned because other buckets are open.
    options = {"AWS_REQUEST_PAYER": "requester", "AWS_NO_SIGN_REQUEST": "NO"}
    return _bucket_path(location), {**options, **_region(storage)}


def _of_cdse(location: Location, storage: Storage) -> Signed:
    given = Credentials()
    key = _needed(given.cdse_s3_key, "CLOUDMASK_CDSE_S3_KEY", location, storage)
    secret = _needed(given.cdse_s3_secret, "CLOUDMASK_CDSE_S3_SECRET", location, storage)
    bucket, path = location.bucket, location.key
    if not bucket:
        bucket, _, path = location.key.partition("/")
    return f"/vsis3/{bucket}/{path}", {
        "AWS_S3_ENDPOINT": storage.endpoint or location.host,
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "AWS_HTTPS": "YES",
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        # Of AWS's own account, if the environment has one.
        "AWS_SESSION_TOKEN": "",
        "AWS_NO_SIGN_REQUEST": "NO",
        **_region(storage),
    }


def _of_earthdata(location: Location, storage: Storage) -> Signed:
    given = Credentials()
    # The login leaves cookies; without a jar every read would log in again.
    options = {"GDAL_HTTP_COOKIEFILE": _cookies(), "GDAL_HTTP_COOKIEJAR": _cookies()}
    if given.earthdata_token is None and _has_netrc():
        options["GDAL_HTTP_NETRC"] = "YES"
        if given.netrc is not None:
            options["GDAL_HTTP_NETRC_FILE"] = str(given.netrc)
    else:
        token = _needed(
            given.earthdata_token,
            "CLOUDMASK_EARTHDATA_TOKEN (or a line for urs.earthdata.nasa.gov in ~/.netrc)",
            location,
            storage,
        )
        # For this host alone: it redirects to a signed URL, which accepts no second signature.
        options["GDAL_HTTP_HEADERS"] = f"Authorization: Bearer {token}"
        options["CPL_VSIL_CURL_AUTHORIZATION_HEADER_ALLOWED_IF_REDIRECT"] = "IF_SAME_HOST"
    return f"/vsicurl/{location.url}", options


def _by_browser(location: Location, storage: Storage) -> Signed:
    raise AccessError(
        f"{location.host} is not read: it wants a login in a browser. Use items that name an "
        f"alternate in a bucket; {storage.account} says where"
    )


_WAYS: Mapping[Signing, Callable[[Location, Storage], Signed]] = {
    "none": _open,
    "planetary-computer-sas": _with_token,
    "requester-pays": _paid_by_reader,
    "cdse-s3": _of_cdse,
    "earthdata": _of_earthdata,
    "web-login": _by_browser,
}


def _bucket_path(location: Location) -> str:
    return f"/vsis3/{location.bucket}/{location.key}"


def _region(storage: Storage) -> Mapping[str, str]:
    return {"AWS_REGION": storage.region} if storage.region else {}


def _needed(
    secret: SecretStr | None, variable: str, location: Location, storage: Storage
) -> str:
    if secret is None:
        raise AccessError(
            f"{location.bucket or location.host} asks for an account: set {variable}. An account is to be "
            f"had at {storage.account}"
        )
    return secret.get_secret_value()


def _has_netrc() -> bool:
    return get_netrc_auth(EARTHDATA) is not None


@cache
def _cookies() -> str:
    """Return a file of this process that nobody else may read."""
    folder = tempfile.mkdtemp(prefix="cloudmask-cookies-")
    return str(Path(folder) / "cookies")
