"""Credentials from the environment, which no text shows.

The process that uses a secret reads it just before use. So no job, plan, fingerprint, receipt or pickle has
secrets, and a renewed one is used at once. This class is therefore the second place beside
`pipeline.config.settings` that reads the environment.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "CLOUDMASK_"


class Credentials(BaseSettings):
    """Accounts from the environment; GDAL itself reads AWS's variables."""

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


def values() -> tuple[str, ...]:
    """Return the secrets of the environment, which no text may show."""
    return _values(frozenset(os.environ.items()))  # noqa: TID251 -- whether it has changed


# A table asks for each of its cells.
@lru_cache(maxsize=1)
def _values(_environment: frozenset[tuple[str, str]]) -> tuple[str, ...]:
    given = (
        value.get_secret_value() for _, value in Credentials() if isinstance(value, SecretStr)
    )
    # Hiding a very short value would garble every message.
    return tuple(secret for secret in given if len(secret) >= 6)
