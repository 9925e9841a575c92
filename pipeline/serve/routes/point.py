"""The history of one place: its class in every scene, and what composites say of it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any

import pyproj
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from pipeline.serve import given
from pipeline.serve.answers import answer, as_json
from pipeline.serve.archives import Archives
from pipeline.serve.given import Parameters
from pipeline.serve.problems import Refused
from pipeline.serve.routes.describe import written
from pipeline.serve.state import State, period_name
from pipeline.types import LEGEND, NEVER, UNREADABLE, Code, Period

router = APIRouter(tags=["point"])

MEANING = {int(each.code): each.meaning for each in LEGEND}
MISSING = -32768
DAY_ZERO = date(1970, 1, 1)


class Asked(Parameters):
    """Parameters of a place."""

    lon: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
    """Degrees east."""
    lat: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
    """Degrees north."""
    datetime: str | None = None
    """``2023-04-01/2023-06-30``, ``2023-06`` or ``2023``; none: all dates of the archive."""
    sensor: str | None = None
    """Only these, by commas."""


@router.get("/archives/{archive_id}/point")
def point(request: Request, archive_id: str, asked: Annotated[Asked, Query()]) -> Response:
    """Tell the class of a place in every scene, and its values in every composite."""
    served: Archives = request.app.state.archives
    period = given.period_of(asked.datetime, request.app.state.settings)

    def make(state: State) -> Response:
        at = pixel(state, asked.lon, asked.lat)
        sensors = state.chosen_sensors(given.names_of(asked.sensor))
        seen = [row for each in sensors for row in observations(state, each, at, period)]
        content = {
            "snapshot": state.snapshot,
            "pixel": {"row": at[0], "col": at[1]},
            "observations": sorted(seen, key=lambda row: (row["time"], row["sensor"])),
            "composites": [
                row for name in state.composites for row in composites(state, name, at, period)
            ],
        }
        return as_json(content)

    return answer(request, served.get(archive_id), asked.as_of, make)


def pixel(state: State, lon: float, lat: float) -> tuple[int, int]:
    """Return row and column of the pixel of a place; refuse one outside of the region."""
    geobox = state.grid.geobox
    assert geobox.crs is not None, "a grid has a CRS"
    to_grid = pyproj.Transformer.from_crs("EPSG:4326", geobox.crs.proj, always_xy=True)
    x, y = to_grid.transform(lon, lat)
    if abs(x) == float("inf") or abs(y) == float("inf"):
        raise Refused(404, "the place lies outside of the archive's region")
    col, row = ~geobox.affine @ (x, y)
    if not (0 <= row < geobox.shape[0] and 0 <= col < geobox.shape[1]):
        raise Refused(404, "the place lies outside of the archive's region")
    return int(row), int(col)


def observations(
    state: State, sensor: str, at: tuple[int, int], period: Period | None
) -> list[dict[str, Any]]:
    """Return a row for each scene that has the place in a cell: also one without data."""
    masks = state.masks(sensor).within(period)
    row, col = at
    tile_px = state.grid.tile_px
    cells = masks.fingerprints(row // tile_px, col // tile_px)
    items = state.items_of[sensor]
    window = (slice(row, row + 1), slice(col, col + 1))
    has_confidence = state.has_confidence(sensor)
    found = []
    for scene, cell in zip(masks.scenes, cells, strict=True):
        if cell == NEVER:
            continue
        place = (scene.position, *window)
        code = int(masks.reader("mask", place)[0, 0]) if cell > UNREADABLE else Code.NO_DATA
        sure = int(masks.reader("confidence", place)[0, 0]) if has_confidence else 0
        ids = items.get(scene.time, [])
        found.append(
            {
                "time": written(scene.time),
                "sensor": sensor,
                "platform": scene.platform,
                "class": int(code),
                "class_name": MEANING[code] if cell != UNREADABLE else "unread",
                "confidence": sure or None,
                "item": ids[0] if ids else None,
                "items": ids,
            }
        )
    return found


def composites(
    state: State, name: str, at: tuple[int, int], period: Period | None
) -> list[dict[str, Any]]:
    """Return a row for each period of a composite that begins in some dates."""
    wanted = [
        (position, each)
        for position, each in enumerate(state.composites[name])
        if period is None or each.start in period
    ]
    wanted.sort(key=lambda pair: pair[1].start)
    return [_composite(state, name, position, each, at) for position, each in wanted]


def _composite(
    state: State, name: str, position: int, period: Period, at: tuple[int, int]
) -> dict[str, Any]:
    row, col = at
    where = (position, slice(row, row + 1), slice(col, col + 1))
    attributes = state.attributes("composites", name)

    def value(array: str) -> float:
        return float(state.pixels("composites", name, 1, array, where)[0, 0])

    steps = {band: value(band) for band in attributes["roles"]}
    source, day = int(value("source")), int(value("day"))
    item = state.item_ids[source] if 0 <= source < len(state.item_ids) else None
    return {
        "name": name,
        "period": period_name(period),
        "values": {
            band: None if step == MISSING else round(step * 1e-4, 4)
            for band, step in steps.items()
        },
        "layers": {each: _number(value(each)) for each in attributes.get("layers", [])},
        "count": int(value("count")),
        "day": None if day < 0 else str(DAY_ZERO + timedelta(days=day)),
        "item": item,
        "item_href": None if item is None else state.item_href(item),
    }


def _number(value: float) -> float | None:
    return None if value != value else value  # noqa: PLR0124 -- NaN
