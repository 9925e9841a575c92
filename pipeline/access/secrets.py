"""Credentials, and texts without them.

Secrets are read where they are used, by the process that uses them, just before a read: they are in
no job, plan, fingerprint or receipt, travel in no pickle to another machine, and a renewed one
serves at once. This class is therefore the second place beside `pipeline.config.settings` that reads
the environment.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "CLOUDMASK_"


class Credentials(BaseSettings):
    """What the environment says of accounts; AWS's own variables are read by GDAL itself."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, env_ignore_empty=True)

    cdse_s3_key: SecretStr | None = None
    cdse_s3_secret: SecretStr | None = None
    earthdata_token: SecretStr | None = Field(
        None, validation_alias=AliasChoices(f"{PREFIX}EARTHDATA_TOKEN", "EARTHDATA_TOKEN")
    )
    """The second name is NASA's own, as earthaccess and GDAL read it."""
    planetary_computer_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices(
            f"{PREFIX}PLANETARY_COMPUTER_KEY", "PC_SDK_SUBSCRIPTION_KEY"
        ),
    )
    """Optional: raises the limits of the token server. The second name is the SDK's own."""
    netrc: Path | None = Field(None, validation_alias="NETRC")
    """File of logins, where it is not ~/.netrc."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Refuse to travel: another process reads its own environment."""
        raise TypeError("credentials are not pickled; read them in the process that uses them")


_PARAMETER = re.compile(
    r"(?P<name>(?:[?&;,\s\"'{]|^|%3F|%26)"
    r"(?:[\w.-]*(?:sig|signature|token|credential|secret|password|passwd|policy|key|key-pair-id|keyid)))"
    r"(?P<equals>=|%3D|[\"']\s?:\s?[\"'])(?P<value>(?!\*\*\*)[^&\s\"'<>,;)}]+)",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s@\"']+@", re.IGNORECASE)
_BEARER = re.compile(r"\b(?P<kind>Bearer|Basic)\s+[^\s\"',;]+", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """Return a text in which signatures, tokens, keys and passwords are ``***``.

    For error messages and logs: it also takes out the values of `Credentials`, wherever they stand.
    """
    for secret in _known():
        text = text.replace(secret, "***")
    text = _LOGIN.sub(r"\g<scheme>***@", text)
    text = _BEARER.sub(r"\g<kind> ***", text)
    return _PARAMETER.sub(r"\g<name>\g<equals>***", text)


def _known() -> list[str]:
    given = (
        value.get_secret_value() for _, value in Credentials() if isinstance(value, SecretStr)
    )
    # A very short value would take harmless letters out of every message.
    return [secret for secret in given if len(secret) >= 6]
