"""What a server of archives allows a request, and which archives it serves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

import yaml
from pydantic import (
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from pipeline.config.paths import store_url
from pipeline.errors import ConfigError

ARCHIVE_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]
BASEMAP = r"https?://[A-Za-z0-9.-]+(:\d{1,5})?/[^\s\"'<>;,]*"
"""A host and a path, without what would end a part of the page's security policy."""
TileTemplate = Annotated[str, StringConstraints(pattern=f"^{BASEMAP}$", max_length=500)]


class ServeSettings(BaseModel):
    """Bounds of requests and of the server: ``CLOUDMASK_SERVE__MAX_AREA_KM2=5000`` and so on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_area_km2: Positive = 50_000.0
    """Of one area of interest."""
    max_days: Count = 3_660
    """Length of the dates of a request."""
    max_features: Count = 1_000
    """Features in one body."""
    max_vertices: Count = 100_000
    """Vertices of all shapes of a request."""
    max_body_bytes: ByteSize = Field(default=ByteSize(10_000_000), gt=0)
    """Of a request."""
    max_pixels: Count = 150_000_000
    """Pixels of a file: those of its bounding box, times its dates and bands."""
    max_screened_pixels: Annotated[int, Field(ge=0)] = 0
    """Pixels of scenes, those of the chunks around all areas of a request, that ``screened=true`` may read from the items'
    rasters, wherever they lie; 0: none, so that all answers come from the store alone."""
    max_seconds: Positive = 30.0
    """After this a request is given up."""
    refresh_s: Positive = 2.0
    """How long an answer may be of a snapshot that is no longer the newest."""
    cache_bytes: ByteSize = Field(default=ByteSize(512 << 20), gt=0)
    """Memory for chunks that were read, in each process, all archives together."""
    files_bytes: ByteSize = Field(default=ByteSize(1 << 30), gt=0)
    """Disk for rasters of items that were asked for, in each process, in the folder for temporary files."""
    threads: Count = 4
    """Requests that are worked on at the same time, in each process."""
    api_key: SecretStr | None = None
    """Asked for in the header ``X-API-Key`` of everything but the page of the map and the health checks; none: open."""
    cors_origins: tuple[str, ...] = ()
    """Origins of web pages elsewhere that may read the answers; none: no page may."""
    basemap: TileTemplate | None = None
    """URL of another server's tiles in Web Mercator, with ``{z}``, ``{x}`` and ``{y}``, to lie under the map's pictures; none: the map asks no other server."""
    basemap_attribution: str = ""
    """Whom the basemap is by, plain text; shown on the map, and needed where there is a basemap."""

    @model_validator(mode="after")
    def _basemap_is_whole(self) -> Self:
        if self.basemap is not None:
            if not all(part in self.basemap for part in ("{z}", "{x}", "{y}")):
                raise ValueError("expected {z}, {x} and {y} in basemap")
            if not self.basemap_attribution.strip():
                raise ValueError("expected basemap_attribution: say whom the basemap is by")
        return self

    @property
    def basemap_origin(self) -> str:
        """Scheme and host of the basemap; empty: there is none."""
        parts = urlsplit(self.basemap or "")
        return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def read_archives(
    given: Sequence[str], file: Path | None = None, base: Path | None = None
) -> dict[str, str]:
    """Read which archives to serve.

    Parameters
    ----------
    given
        ``ID=STORE`` each, or a store alone, whose last part is its id.
    file
        YAML or JSON, a mapping of ids to stores; its paths are relative to it.
    base
        Folder that the paths of `given` are relative to; none: the working directory.

    Returns
    -------
    Paths or URLs of stores by id.

    Raises
    ------
    ConfigError
        An id is none, or comes twice, or there is no archive at all.
    """
    pairs = [_pair(each, base or Path.cwd()) for each in given]
    if file is not None:
        pairs += [_checked(name, store, file.parent) for name, store in _mapping(file).items()]
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = sorted(
            {name for name, _ in pairs if [each for each, _ in pairs].count(name) > 1}
        )
        raise ConfigError(
            f"archives have ids of their own; these come twice: {', '.join(twice)}"
        )
    if not found:
        raise ConfigError("nothing to serve: expected ID=STORE, such as demo=./demo/store")
    return found


def _pair(text: str, base: Path) -> tuple[str, str]:
    name, separator, store = text.partition("=")
    # `s3://bucket/x?endpoint_url=…` has one, too.
    if not separator or not ARCHIVE_ID.fullmatch(name):
        store = text
        name = re.sub(
            r"[^a-z0-9_-]+", "-", Path(text.split("?", maxsplit=1)[0]).name.lower()
        ).strip("-_")
    return _checked(name, store, base)


def _checked(name: object, store: object, base: Path) -> tuple[str, str]:
    if not isinstance(name, str) or not ARCHIVE_ID.fullmatch(name):
        raise ConfigError(
            f"id of an archive: found {str(name)!r:.80}, expected up to 63 of a to z, 0 to 9, - and _"
        )
    try:
        return name, store_url(str(store), base)
    except ValueError as error:
        raise ConfigError(f"{name}: expected {error}") from None


def _mapping(file: Path) -> Mapping[object, object]:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from None
    if not isinstance(found, Mapping):
        raise ConfigError(f"{file}: expected a mapping of ids to stores")
    return found
