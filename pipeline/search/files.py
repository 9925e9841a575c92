"""Files of items: a JSON item or item collection, newline-delimited JSON, stac-geoparquet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import rustac

from pipeline import access, catalogs
from pipeline.errors import ConfigError, SearchError
from pipeline.search.documents import parse_json
from pipeline.shown import words_of
from pipeline.types import Items
from pipeline.wording import counted

_PARQUET = (".parquet", ".geoparquet")
_LINES = (".ndjson", ".jsonl")

_EXACT_TIMES = "cloudmask:times"
"""Property of GeoParquet files: times that are finer than the millisecond columns, as JSON."""
_FINER_THAN_MS = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})\d*[1-9]\d*")


def save_items(items: Items, path: Path) -> None:
    """Write items to a file that a later job can name as its catalogue.

    Parameters
    ----------
    items
        What a search found.
    path
        ``.parquet``: GeoParquet (stac-geoparquet); ``.ndjson``: one item a line; else an item
        collection as JSON.

    Raises
    ------
    ConfigError
        The items cannot be written in that form, or the file not at all.
    """
    # Not transformed: pystac would fetch the root of each item to write its links.
    documents = [access.reduce_document(item.to_dict(transform_hrefs=False)) for item in items]
    try:
        if not path.parent.is_dir():
            raise FileNotFoundError(f"there is no directory {path.parent}")
        if path.suffix.lower() in _PARQUET:
            rustac.write_sync(str(path), [_for_columns(each) for each in documents])
        elif path.suffix.lower() in _LINES:
            lines = [json.dumps(each) + "\n" for each in documents]
            path.write_text("".join(lines), encoding="utf-8")
        else:
            collection = {"type": "FeatureCollection", "features": documents}
            path.write_text(json.dumps(collection), encoding="utf-8")
    except (rustac.RustacError, OSError) as error:
        raise ConfigError(
            f"{path}: {counted(len(items), 'item')} cannot be written there: {words_of(error)}; choose another "
            "place, or the form .json, which takes any item"
        ) from error


def read_document(path: Path) -> dict[str, Any]:
    """Read a STAC file of any kind as one JSON object.

    Returns
    -------
    A Feature, Catalog or Collection as it stands; several items as a FeatureCollection.

    Raises
    ------
    SearchError
        The file does not exist, or is none of these.
    """
    if not path.is_file():
        raise SearchError(
            f"catalogue {path} does not exist; expected the name of a known catalogue "
            f"({', '.join(catalogs.CATALOGS)}), a URL, or a file of STAC items (.json, .ndjson, .parquet)"
        )
    if path.suffix.lower() in _PARQUET:
        return {"type": "FeatureCollection", "features": list(_from_columns(path))}
    try:
        content = path.read_bytes()
        if path.suffix.lower() in _LINES:
            features = [parse_json(line) for line in content.splitlines() if line.strip()]
            return {"type": "FeatureCollection", "features": features}
        document = parse_json(content)
    except OSError as error:
        raise SearchError(f"catalogue {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SearchError(f"catalogue {path} cannot be read as JSON: {error}") from error
    kind = document.get("type") if isinstance(document, dict) else None
    # Catalogues before STAC 1.0 name no type.
    if kind not in ("Catalog", "Collection", "Feature", "FeatureCollection") and not (
        isinstance(document, dict)
        and kind is None
        and {"stac_version", "links"} <= document.keys()
    ):
        raise SearchError(
            f"catalogue {path} is of type {kind!r}; expected Catalog, Collection, Feature or "
            "FeatureCollection"
        )
    assert isinstance(document, dict)
    return document


def _from_columns(path: Path) -> Iterator[dict[str, Any]]:
    try:
        features = rustac.read_sync(str(path))["features"]
    # A damaged file is met deep in Rust, which may also panic.
    except Exception as error:
        raise SearchError(
            f"catalogue {path} cannot be read as GeoParquet of STAC items: {words_of(error)}; expected "
            "a file as stac-geoparquet writes them"
        ) from error
    for feature in features:
        feature["bbox"] = list(feature.get("bbox") or ()) or None
        # Items share columns: what one lacks and another has reads as null.
        properties = feature.get("properties") or {}
        feature["properties"] = {
            name: value
            for name, value in properties.items()
            if value is not None or name == "datetime"
        }
        yield _with_exact_times(feature)


def _for_columns(document: dict[str, Any]) -> dict[str, Any]:
    """Keep the times that a column, which has milliseconds, would round."""
    properties = document["properties"]
    fine = {
        name: value
        for name, value in properties.items()
        if isinstance(value, str) and _FINER_THAN_MS.match(value)
    }
    if fine:
        document = {**document, "properties": {**properties, _EXACT_TIMES: json.dumps(fine)}}
    return document


def _with_exact_times(document: dict[str, Any]) -> dict[str, Any]:
    """Put exact times back where the columns still say the same to the millisecond."""
    properties = document.get("properties") or {}
    text = properties.pop(_EXACT_TIMES, None)
    try:
        exact = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        exact = {}
    for name, value in exact.items() if isinstance(exact, dict) else ():
        if _same_millisecond(value, properties.get(name)):
            properties[name] = value
    return document


def _same_millisecond(exact: object, column: object) -> bool:
    try:
        gap = datetime.fromisoformat(str(exact)) - datetime.fromisoformat(str(column))
    except (ValueError, TypeError):
        return False
    return timedelta(0) <= gap < timedelta(milliseconds=1)
