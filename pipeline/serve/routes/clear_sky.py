"""How clear areas were: a series each, as JSON or CSV."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from shapely.geometry.base import BaseGeometry
from starlette.concurrency import run_in_threadpool

from pipeline.config import ServeSettings
from pipeline.errors import QueryError
from pipeline.query import clear_sky
from pipeline.serve import given, series
from pipeline.serve.answers import answer, as_json, wants_csv
from pipeline.serve.archives import Archives
from pipeline.serve.given import Feature, Parameters
from pipeline.serve.problems import Refused
from pipeline.serve.state import State
from pipeline.types import Series

router = APIRouter(tags=["clear-sky"])

BODY = {
    "required": True,
    "description": "A Feature or a FeatureCollection of polygons in degrees (RFC 7946).",
    "content": {
        "application/geo+json": {"schema": {"$ref": "#/components/schemas/Area"}},
        "application/json": {"schema": {"$ref": "#/components/schemas/Area"}},
    },
}
"""Of the OpenAPI document: the body is read as bytes, bounded, and checked by `given`."""


class Asked(Parameters):
    """Parameters of a series."""

    datetime: str | None = None
    """``2023-04-01/2023-06-30``, ``2023-06`` or ``2023``; none: all dates of the archive."""
    sensor: str | None = None
    """Only these, by commas."""
    classes: str | None = None
    """What counts as clear, by names or numbers; none: clear, water and snow."""
    interval: Literal["scene", "month", "season", "year"] = "scene"
    """A row for each of these."""
    screened: bool = False
    """Also what evidence from time leaves of each scene, where the server reads rasters."""
    composite: str | None = None
    """With ``screened``: as which composite; not needed if there is one."""
    f: Literal["json", "csv"] | None = None
    """Instead of the header ``Accept``."""


class AskedBox(Asked):
    """The same, of a box."""

    bbox: str
    """west,south,east,north in degrees."""


@router.get("/archives/{archive_id}/clear-sky")
def of_box(request: Request, archive_id: str, asked: Annotated[AskedBox, Query()]) -> Response:
    """Say how clear a box was, scene by scene or by month, season or year."""
    area = given.box_of(asked.bbox, request.app.state.settings)
    return _answer(request, archive_id, asked, ([Feature(id=None, aoi=area)], False))


@router.post("/archives/{archive_id}/clear-sky", openapi_extra={"requestBody": BODY})
async def of_features(
    request: Request,
    archive_id: str,
    asked: Annotated[Asked, Query()],
) -> Response:
    """Say how clear each feature of a GeoJSON body was, scene by scene or by month, season or year."""
    body = await request.body()
    return await run_in_threadpool(_of_body, request, archive_id, asked, body)


def _of_body(request: Request, archive_id: str, asked: Asked, body: bytes) -> Response:
    features = given.features_of(body, request.app.state.settings)
    return _answer(request, archive_id, asked, features, body)


def _answer(
    request: Request,
    archive_id: str,
    asked: Asked,
    features: tuple[list[Feature], bool],
    body: bytes = b"",
) -> Response:
    served: Archives = request.app.state.archives
    settings: ServeSettings = request.app.state.settings
    wanted = series.Wanted(
        period=given.period_of(asked.datetime, settings),
        sensors=given.names_of(asked.sensor),
        classes=given.classes_of(asked.classes),
        interval=asked.interval,
    )

    if asked.composite is not None and not asked.screened:
        raise Refused(422, "composite: expected with screened=true only")

    def make(state: State) -> Response:
        judging = request.app.state.judge() if asked.screened else None

        def found(area: BaseGeometry) -> Series:
            masks = {each: state.masks(each) for each in state.chosen_sensors(wanted.sensors)}
            plain = clear_sky(masks, area, wanted.period)
            if judging is None:
                return plain
            judged: Series = judging.series(state.archive, plain, area, asked.composite)
            return judged

        shown = [_series(found, each, wanted, several=features[1]) for each in features[0]]
        if wants_csv(request, asked.f):
            return Response(series.as_csv(shown), media_type="text/csv")
        if features[1]:
            return as_json({"snapshot": state.snapshot, "features": shown})
        return as_json({"snapshot": state.snapshot, **shown[0]})

    return answer(request, served.get(archive_id), asked.as_of, make, body)


def _series(
    find: Callable[[BaseGeometry], Series],
    feature: Feature,
    wanted: series.Wanted,
    *,
    several: bool,
) -> dict[str, Any]:
    """Return the series of a feature; one among several that cannot be answered says why."""
    try:
        found = find(feature.aoi)
    except QueryError as error:
        if not several:
            raise Refused(422, str(error)) from None
        return {"id": feature.id, "data": [], "summary": None, "problem": str(error)}
    return {"id": feature.id, **series.shown(found, wanted)}
