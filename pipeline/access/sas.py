"""Tokens of the Planetary Computer: one for each container, got once, renewed before it ends.

The SDK ``planetary-computer`` 1.0 does the same in principle; its cache is not locked, so that
sixteen threads ask sixteen times, it renews in the last minute only, brings pystac-client along, and
reads its endpoint from the environment alone.
"""

from __future__ import annotations

import time
from datetime import datetime

import requests

from pipeline.access.failures import Verdict, verdict_of_status
from pipeline.access.remembered import Kept, Remembered
from pipeline.access.secrets import Credentials
from pipeline.errors import AccessError, AccessUnavailableError
from pipeline.shown import shown

TIMEOUT_S = (10.0, 30.0)
MARGIN_S = 300.0
"""A token is renewed this long before its end, or when a fifth of a shorter life is left: a read
that begins with it shall end with it."""

TOKENS: Remembered[str] = Remembered(256)


def token(endpoint: str, account: str, container: str) -> str:
    """Return the query that signs every blob of a container.

    Raises
    ------
    AccessError
        The server gives no token for the container.
    AccessUnavailableError
        It did not answer.
    """
    url = f"{endpoint}/{account}/{container}"
    return TOKENS.get(url, lambda: _asked(url))


def forget(endpoint: str, account: str, container: str) -> None:
    """Forget a token that was refused, unless another thread renewed it meanwhile."""
    TOKENS.drop(f"{endpoint}/{account}/{container}")


def _asked(url: str) -> Kept[str]:
    key = Credentials().planetary_computer_key
    headers = {"Ocp-Apim-Subscription-Key": key.get_secret_value()} if key else {}
    try:
        answer = requests.get(url, headers=headers, timeout=TIMEOUT_S, allow_redirects=False)
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
        return _kept(str(document["token"]), document["msft:expiry"])
    except (ValueError, KeyError, TypeError):
        raise AccessUnavailableError(
            f"token server {url} gave no token for now (HTTP {answer.status_code})"
        ) from None


def _kept(query: str, expiry: str) -> Kept[str]:
    now = time.time()
    end = datetime.fromisoformat(expiry).timestamp()
    return Kept(query.lstrip("?"), end - min(MARGIN_S, (end - now) / 5), end)
