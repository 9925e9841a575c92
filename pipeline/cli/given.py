"""Parses arguments; errors name the argument."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from pipeline.types import Period


def read_area(text: str) -> BaseGeometry:
    """Read ``--aoi``; paths are relative to the working directory."""
    from pipeline.config import AOI_FORMS, read_aoi

    try:
        return read_aoi(text, Path.cwd())
    except ValueError as error:
        raise ConfigError(
            f"--aoi: found {text!r:.80}, expected {AOI_FORMS}; but {error}"
        ) from None


def read_lonlat(text: str) -> tuple[float, float]:
    """Read ``--lonlat``."""
    try:
        lon, lat = (float(each) for each in text.split(","))
    except ValueError:
        lon = lat = math.nan
    if not (abs(lon) <= 180 and abs(lat) <= 90):
        raise ConfigError(
            f"--lonlat: found {text!r:.80}, expected longitude,latitude in degrees, such as 11.66,48.22"
        )
    return lon, lat


def read_when(text: str, argument: str = "--datetime") -> Period:
    """Read ``--datetime``, or another argument of the same form."""
    from pipeline.config import PERIOD_FORMS, read_period

    try:
        return read_period(text)
    except ValueError as error:
        wanted = f"expected {PERIOD_FORMS}; but {error}"
        raise ConfigError(f"{argument}: found {text!r:.80}, {wanted}") from None


def read_store(text: str, argument: str) -> str:
    """Read the path, relative to the working directory, or the URL of a store."""
    from pipeline.config import store_url

    try:
        return store_url(text, Path.cwd())
    except ValueError as error:
        raise ConfigError(f"{argument}: expected {error}") from None


def keep_apart(argument: str, out: Path, store: str, read: Iterable[str] = ()) -> None:
    """Refuse an output path that would overwrite the store, or a file that is read."""
    from pipeline.config.paths import require_apart

    try:
        require_apart(out, store, read)
    except ValueError as error:
        raise ConfigError(f"{argument}: expected {error}") from None
