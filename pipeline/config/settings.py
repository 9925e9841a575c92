"""What the environment says; the only place of the package that reads it."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import ByteSize, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.config.mistakes import describe
from pipeline.errors import ConfigError

_PREFIX = "CLOUDMASK_"


class Settings(BaseSettings):
    """Settings of a machine rather than of a job: ``CLOUDMASK_LOG_LEVEL`` and so on."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True)

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    memory_bytes: ByteSize | None = Field(default=None, gt=0)
    """What runs may use on this machine, e.g. ``4 GiB``; stands above the job file's."""


def read_settings() -> Settings:
    """Read the environment.

    Raises
    ------
    ConfigError
        A variable has a value that it cannot have; one line each.
    """
    try:
        return Settings()
    except ValidationError as error:
        found = [
            f"{_PREFIX}{str(each['loc'][0]).upper()}: {describe(each)}"
            for each in error.errors()
        ]
    raise ConfigError("\n".join(found))


PREFECT_DEFAULTS = {
    # A cold database on a busy machine takes longer than Prefect's 20 seconds.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    # Nothing is told to anybody unless the user wants it.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}


def set_prefect_defaults(*, quiet: bool = False) -> None:
    """Give Prefect our defaults, below what the user's environment says.

    Prefect reads its environment when it is imported, and its servers inherit it: call this
    before the first import.
    """
    for name, value in PREFECT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    if quiet:
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
