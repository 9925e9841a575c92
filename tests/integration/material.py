"""What the API is filled with: many small made-up items, and the real ones of the shared data."""

import csv
import json
import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pystac
from shapely.affinity import rotate
from shapely.geometry import MultiPolygon, box, mapping, shape
from shapely.geometry.base import BaseGeometry

from pipeline.types import Items, Period

SENTINEL, LANDSAT = "sentinel-2-l2a", "landsat-c2-l2"

SUMMER = Period(start=datetime(2037, 6, 1, tzinfo=UTC), end=datetime(2037, 9, 1, tzinfo=UTC))
"""Of the made-up items; so late that no real one is among them."""
FIELD = box(0, 40, 30, 55)
"""Where they lie, but for those in Fiji."""
FIJI = MultiPolygon([box(177, -19, 180, -16), box(-180, -19, -178, -16)])

PLATFORMS = ("sentinel-2a", "Sentinel-2A", "sentinel-2b", "sentinel_2a", "100%", "o'neill")
"""Spellings that catalogues have, and characters that mean something in SQL and its patterns."""


def made_up_items(
    count: int = 400, *, seed: int = 5, start: datetime = SUMMER.start, name: str = "made"
) -> list[pystac.Item]:
    """Return items whose order by id, by time and by place have nothing in common."""
    rng = random.Random(seed)
    names = [f"{name}_{number:05d}" for number in range(count)]
    rng.shuffle(names)
    return [_made_up(name, start, rng) for name in names]


def _made_up(name: str, start: datetime, rng: random.Random) -> pystac.Item:
    # A few instants a day, so that many items share theirs; some with fractions of a second.
    instant = start + timedelta(
        days=rng.randrange(92),
        hours=rng.choice((0, 10)),
        microseconds=rng.choice((0, 0, 1, 500_000, 999_999)),
    )
    return make_item(
        name,
        instant,
        _fiji_part(rng) if rng.random() < 0.05 else _field_part(rng),
        collection=rng.choice((SENTINEL, SENTINEL, LANDSAT)),
        platform=rng.choice(PLATFORMS),
        **rng.choice(
            (
                *[{"eo:cloud_cover": round(rng.uniform(0, 100), 1)}] * 8,
                {"eo:cloud_cover": 50},
                {"eo:cloud_cover": None},
                {},
            )
        ),
    )


def make_item(
    name: str,
    instant: datetime,
    outline: BaseGeometry,
    *,
    collection: str = SENTINEL,
    **properties: Any,
) -> pystac.Item:
    """Return an item in the words of Earth Search v1."""
    crossing = isinstance(outline, MultiPolygon) and outline.bounds[2] == 180
    west, south, east, north = outline.bounds
    if crossing:
        west, east = outline.geoms[0].bounds[0], outline.geoms[1].bounds[2]
    item = pystac.Item(
        id=name,
        geometry=mapping(outline),
        bbox=[west, south, east, north],
        datetime=instant,
        collection=collection,
        properties={"s2:processing_baseline": "05.09", **properties},
    )
    # An API takes what is relative for its own, so hrefs are absolute.
    item.add_asset("blue", pystac.Asset(href=f"https://example.com/{name}/blue.tif"))
    return item


def _field_part(rng: random.Random) -> BaseGeometry:
    west, south, _, _ = FIELD.bounds
    x, y = west + rng.uniform(0, 28), south + rng.uniform(0, 13)
    return rotate(
        box(x, y, x + rng.uniform(0.2, 2), y + rng.uniform(0.2, 2)), rng.uniform(0, 90)
    )


def _fiji_part(rng: random.Random) -> BaseGeometry:
    south = rng.uniform(-19, -17)
    return MultiPolygon(
        [
            box(180 - rng.uniform(0.2, 2), south, 180, south + 1),
            box(-180, south, -180 + rng.uniform(0.2, 1), south + 1),
        ]
    )


# -- what is right -----------------------------------------------------------------------------


def brute_force(
    items: Iterable[pystac.Item],
    aoi: BaseGeometry,
    period: Period,
    test: Callable[[pystac.Item], bool] = lambda _: True,
) -> list[str]:
    """Return the ids of the items that belong, in our order."""
    found = [
        item
        for item in items
        if item.datetime is not None
        and period.start <= item.datetime < period.end
        and aoi.intersects(shape(item.geometry))
        and test(item)
    ]
    return [item.id for item in sorted(found, key=lambda item: (item.datetime, item.id))]


def ids(found: Items) -> list[str]:
    return [item.id for item in found]


# -- real items --------------------------------------------------------------------------------


def real_items(folder: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the real items that the API can hold, as they are, and file -> reason of the others."""
    held: dict[tuple[str, str], dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    with (folder / "INDEX.tsv").open() as table:
        files = [row["file"] for row in csv.DictReader(table, delimiter="\t")]
    for file in files:
        document = json.loads((folder / file).read_text())
        reason = _unfit(document, held)
        if reason:
            left_out[file] = reason
        else:
            held[document["collection"], document["id"]] = document
    return list(held.values()), left_out


def _unfit(document: dict[str, Any], held: Iterable[tuple[str, str]]) -> str | None:
    if not document.get("collection"):
        return "it belongs to no collection"
    if (document["collection"], document["id"]) in held:
        return "another item of its collection has its id"
    if any("://" not in asset["href"] for asset in document["assets"].values()):
        return "an API would take its relative hrefs for its own"
    return None


def collections_of(names: Iterable[str], folder: Path | None = None) -> list[dict[str, Any]]:
    """Return collections by name: a real one where the folder has it, else a plain one."""
    real: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")) if folder else ():
        document = json.loads(path.read_text())
        real.setdefault(document["id"], document)
    return [real.get(name) or _plain_collection(name) for name in sorted(set(names))]


def _plain_collection(name: str) -> dict[str, Any]:
    extent = pystac.Extent(
        pystac.SpatialExtent([[-180, -90, 180, 90]]),
        pystac.TemporalExtent([[datetime(1972, 1, 1, tzinfo=UTC), None]]),
    )
    return pystac.Collection(name, f"Items of {name}.", extent).to_dict()
