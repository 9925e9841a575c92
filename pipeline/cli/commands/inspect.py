"""The command that describes an item: its sensor, bands, radiometry, and whether a run would use it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import show
from pipeline.cli.understanding import describe
from pipeline.errors import (
    CatalogUnavailableError,
    SearchError,
)
from pipeline.wording import counted

if TYPE_CHECKING:
    from pipeline.search.documents import Understood

MAX_BYTES = 64 * 2**20
"""Largest document; an item has some ten kilobytes."""

TIMEOUT_S = 30


def inspect(
    source: Annotated[
        str,
        typer.Argument(
            metavar="ITEM",
            help="Path or URL of a STAC item, or of an item collection.",
            show_default=False,
        ),
    ],
    *,
    item_id: Annotated[
        str | None, typer.Option("--item", help="Id of an item in a collection.")
    ] = None,
    pixels: Annotated[
        bool,
        typer.Option(
            "--pixels", help="Check by the pixels of Sentinel-2 whether 1000 are added."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Describe a STAC item as a run reads it, and show whether a run would use it."""
    found = _chosen(_read(source), source, item_id)
    if len(found) > 1:
        _show_all([_brief(each) for each in found], as_json=as_json)
        return
    (one,) = found
    if one.broken is not None:
        raise SearchError(f"{source}: {one.broken}")
    seen, refusals = describe(one.item, pixels=pixels)
    if as_json:
        show.as_json(seen)
    else:
        _show(seen)
    if refusals:
        raise refusals[0]


# -- reading -----------------------------------------------------------------------------------


def _read(source: str) -> Any:  # noqa: ANN401 -- whatever JSON it is
    from pipeline.search.documents import parse_json

    if source.split("://", 1)[0] in ("http", "https"):
        content = _fetched(source)
    else:
        try:
            content = Path(source).read_bytes()
        except OSError as error:
            raise SearchError(f"{source}: cannot be read: {error}") from None
    try:
        return parse_json(content)
    except (ValueError, RecursionError) as error:
        raise SearchError(
            f"{source}: is not JSON ({error}); expected a STAC item or an item collection"
        ) from None


def _fetched(url: str) -> bytes:
    import requests

    try:
        with requests.get(url, timeout=TIMEOUT_S, stream=True) as answer:
            answer.raise_for_status()
            content: bytes = answer.raw.read(MAX_BYTES + 1, decode_content=True)
    except (requests.RequestException, OSError) as error:
        raise CatalogUnavailableError(f"{url}: did not answer: {error}") from None
    if len(content) > MAX_BYTES:
        raise SearchError(f"{url}: is larger than {show.size(MAX_BYTES)}: no item is")
    return content


def _chosen(document: Any, source: str, item_id: str | None) -> list[Understood]:  # noqa: ANN401
    """Return the items of a document, or the one with an id."""
    from pipeline.search.documents import understood

    kind = document.get("type") if isinstance(document, dict) else None
    if kind not in ("Feature", "FeatureCollection"):
        raise SearchError(
            f"{source}: is of type {kind!r}; expected a STAC item (Feature) or an item collection "
            "(FeatureCollection)"
        )
    features = [document] if kind == "Feature" else document.get("features") or []
    # Hrefs of assets are relative to the document.
    place = source if "://" in source else str(Path(source).resolve())
    items = [understood(feature, place) for feature in features]
    if item_id is not None:
        items = [each for each in items if each.item.id == item_id]
    if not items:
        ids = ", ".join(str(each.get("id")) for each in features[:5] if isinstance(each, dict))
        wanted = "any item" if item_id is None else f"an item {item_id!r}"
        raise SearchError(f"{source}: does not hold {wanted}; it holds {ids or 'none'}")
    return items


# -- showing -----------------------------------------------------------------------------------


def _show(seen: Mapping[str, Any]) -> None:
    assets, masks = seen.get("assets", []), seen.get("masks", [])
    hosts = sorted({row["host"] for row in (*assets, *masks)})
    plain = {key: value for key, value in seen.items() if not isinstance(value, list | dict)}
    plain["host"] = ", ".join(hosts) or None
    stated = {key: value for key, value in plain.items() if value is not None}
    width = max(map(len, stated)) + 2
    show.lines(f"{key.replace('_', ' '):<{width}}{value}" for key, value in stated.items())
    show.table([_grid(row) for row in assets], title="bands")
    show.table([_grid(row) for row in masks], title="masks of the product")
    show.lines(seen.get("not_read", ()) if assets else ())
    for rule in seen.get("radiometry", ()):
        show.lines(
            [f"{', '.join(rule['roles'])}:", f"  {_formula(rule)}", f"  {rule['reason']}"]
        )
    if "pixels" in seen:
        show.lines([f"pixels: {seen['pixels']['verdict']}; {seen['pixels']['reason']}"])
    if not seen["refused"]:
        show.lines(["it would be used"])


def _formula(rule: Mapping[str, Any]) -> str:
    scale, offset = rule["scale"], rule["offset"]
    added = f" {'−' if offset < 0 else '+'} {abs(offset):g}" if offset else ""
    doubt = "; doubtful: the pixels should be asked" if rule["doubtful"] else ""
    return f"DN × {scale:g}{added}; no data {rule['nodata']}{doubt}"


def _grid(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a table: the transform as a pixel size and a corner."""
    shape, place = row["shape"], row["transform"]
    return {
        "role": row["role"],
        "asset": row["asset"],
        "crs": row["crs"],
        "shape": None if shape is None else " × ".join(map(str, shape)),
        "pixel": None if place is None else f"{place[0]:g}",
        "corner": None if place is None else f"{place[2]:.10g}, {place[5]:.10g}",
    }


def _brief(each: Understood) -> dict[str, Any]:
    seen: dict[str, Any] = {"item": each.item.id, "collection": each.item.collection_id}
    seen["refused"] = [each.broken]
    if each.broken is None:
        seen, _ = describe(each.item)
    rules = seen.get("radiometry") or [{}]
    return {
        "item": seen["item"],
        "collection": seen["collection"],
        "level": seen.get("level"),
        "scale": rules[0].get("scale"),
        "offset": rules[0].get("offset"),
        "doubtful": rules[0].get("doubtful"),
        "refused": "; ".join(seen["refused"]) or None,
    }


def _show_all(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        show.as_json(rows)
        return
    shown = [
        {**row, "scale": None if row["scale"] is None else f"{row['scale']:g}"} for row in rows
    ]
    show.table(shown, title=f"{counted(len(rows), 'item')}; --item shows one")
