"""Settings from the environment, which only this module and `environment` read."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_cache_path
from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.config.environment import LOG_LEVEL, PREFIX
from pipeline.config.mistakes import Location, describe
from pipeline.config.serving import ServeSettings
from pipeline.errors import ConfigError
from pipeline.types.values import refuse
from pipeline.wording import did_you_mean

_NESTED = "__"

Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _currency(text: str) -> str:
    if not re.fullmatch("[A-Z]{3}", text):
        refuse("a currency by its three letters, such as EUR")
    return text


class Prices(BaseModel):
    """Prices of what a run uses; without a price a part is not billed.

    Settings of the machine, not of the job: the same job has another cost elsewhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: Annotated[str, AfterValidator(_currency)]
    """ISO 4217, e.g. ``EUR``."""
    cpu_hour: Price | None = None
    """For one busy core."""
    gpu_hour: Price | None = None
    """For one GPU while a model runs on it."""
    gb_read: Price | None = None
    """For 1e9 bytes downloaded from rasters."""
    thousand_requests: Price | None = None
    gb_month_stored: Price | None = None
    """For 1e9 bytes in the store for a month."""


class BlockCacheSettings(BaseModel):
    """The cache on disk of decoded blocks of remote rasters, shared by all runs of this user on a machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path = Field(default_factory=lambda: user_cache_path("cloudmask") / "blocks")
    """Where; it must be this user's alone."""
    size: ByteSize = Field(default=ByteSize(10 * 2**30), ge=0)
    """What it may take, e.g. ``50 GiB``; 0: nothing is kept. At most half of what is free is taken."""


class Settings(BaseSettings):
    """Settings of a machine rather than of a job: ``CLOUDMASK_LOG_LEVEL`` and so on."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=_NESTED, frozen=True
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = LOG_LEVEL
    memory_bytes: ByteSize | None = Field(default=None, gt=0)
    """What runs may use on this machine, e.g. ``4 GiB``; replaces the job file's."""
    prices: Prices | None = None
    """``CLOUDMASK_PRICES__CURRENCY=EUR``, ``CLOUDMASK_PRICES__CPU_HOUR=0.04`` and so on, or all of
    them as JSON in ``CLOUDMASK_PRICES``; none: records have quantities only."""
    metrics_folder: Path | None = None
    """Folder that the textfile collector of Prometheus' node_exporter reads: each run writes its
    metrics there. None: no such file."""
    block_cache: BlockCacheSettings = BlockCacheSettings()
    """``CLOUDMASK_BLOCK_CACHE__SIZE=50GiB``, ``CLOUDMASK_BLOCK_CACHE__FOLDER=/scratch/blocks``."""
    serve: ServeSettings = ServeSettings()
    """Of ``cloudmask serve``: ``CLOUDMASK_SERVE__MAX_AREA_KM2=5000`` and so on."""


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
        found = [f"{_variable(each['loc'])}: {_mistake(each)}" for each in error.errors()]
    raise ConfigError("\n".join(found))


_SECTIONS: Mapping[str, type[BaseModel]] = {
    "serve": ServeSettings,
    "block_cache": BlockCacheSettings,
    "prices": Prices,
}


def _variable(location: Location) -> str:
    return PREFIX + _NESTED.join(str(each).upper() for each in location)


def _mistake(error: ErrorDetails) -> str:
    if error["type"] == "missing":
        return "it is not set, and prices have none without it"
    if error["type"] == "extra_forbidden":
        section = _SECTIONS[str(error["loc"][0])]
        known = [name.upper() for name in section.model_fields]
        what = "price" if section is Prices else "setting"
        return f"there is no such {what}{did_you_mean(str(error['loc'][-1]).upper(), known)}"
    if error["loc"] == ("prices",):
        return f'found {error["input"]!r:.40}, expected JSON such as {{"currency": "EUR", "cpu_hour": 0.04}}'
    return describe(error)


PREFECT_DEFAULTS = {
    # A cold database on a busy machine takes longer than Prefect's 20 seconds.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    # No telemetry unless the user wants it.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}


def set_prefect_defaults(*, quiet: bool = False) -> None:
    """Set our defaults for Prefect; variables that the user has set stay.

    Prefect reads its environment when it is imported, and its servers inherit it: call this
    before the first import.
    """
    for name, value in PREFECT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    if quiet:
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")


NO_ORIGIN = "http://nobody.invalid"
"""The only origin of web pages that may call Prefect's embedded server. No page has it; an empty list would allow all."""


def set_prefect_login() -> None:
    """Protect the server that Prefect embeds with a random login, and give it to the clients of this process.

    Prefect reads its environment when it is imported: refresh its settings after this.
    """
    login = f"cloudmask:{secrets.token_urlsafe(32)}"
    os.environ["PREFECT_API_AUTH_STRING"] = os.environ["PREFECT_SERVER_API_AUTH_STRING"] = login
    os.environ["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = NO_ORIGIN
