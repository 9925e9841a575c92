"""Masks and composites of an area as files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import xarray as xr
from fastapi import APIRouter, Query, Request, Response

from pipeline.config import ServeSettings
from pipeline.serve import files, given
from pipeline.serve.answers import answer
from pipeline.serve.archives import Archives
from pipeline.serve.given import Parameters
from pipeline.serve.problems import Refused
from pipeline.serve.state import State

router = APIRouter(tags=["files"])

CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {**{each: {} for each in files.MEDIA_TYPES.values()}, "application/json": {}}
    }
}


class Asked(Parameters):
    """Parameters of a file."""

    bbox: str
    """west,south,east,north in degrees."""
    datetime: str | None = None
    """``2023-04-01/2023-06-30``, ``2023-06`` or ``2023``; none: all dates of the archive."""
    f: files.Form = "tif"
    """GeoTIFF, NetCDF, PNG (one date), JSON (few pixels); zip: a GeoTIFF with names of classes and a style beside it."""


class AskedMasks(Asked):
    """Parameters of masks."""

    sensor: str | None = None
    """Only these, by commas."""


class AskedComposite(Asked):
    """Parameters of a composite."""

    bands: str | None = None
    """By commas; none: all roles."""


@router.get("/archives/{archive_id}/masks", responses=CONTENT)
def masks(request: Request, archive_id: str, asked: Annotated[AskedMasks, Query()]) -> Response:
    """Return the masks of a box, a band a scene, with the legend's colours."""
    settings: ServeSettings = request.app.state.settings
    area = given.box_of(asked.bbox, settings)
    period = given.period_of(asked.datetime, settings)

    def select(state: State) -> xr.Dataset:
        sensors = state.chosen_sensors(given.names_of(asked.sensor))
        return files.masks(state, sensors, area, period, settings.max_pixels)

    return _file(request, archive_id, asked, "masks", select)


@router.get("/archives/{archive_id}/composites/{name}", responses=CONTENT)
def composite(
    request: Request, archive_id: str, name: str, asked: Annotated[AskedComposite, Query()]
) -> Response:
    """Return bands of a composite of a box, scaled, with their names."""
    settings: ServeSettings = request.app.state.settings
    area = given.box_of(asked.bbox, settings)
    period = given.period_of(asked.datetime, settings)

    def select(state: State) -> xr.Dataset:
        wanted = name, given.names_of(asked.bands)
        return files.composite(state, wanted, area, period, settings.max_pixels)

    return _file(request, archive_id, asked, "composite", select)


def _file(
    request: Request,
    archive_id: str,
    asked: Asked,
    kind: str,
    select: Callable[[State], xr.Dataset],
) -> Response:
    served: Archives = request.app.state.archives

    def make(state: State) -> Response:
        dataset = select(state)
        if asked.f == "png" and dataset.sizes.get("time", 1) != 1:
            raise Refused(422, "f=png shows one date: narrow datetime, or take tif or nc")
        return files.answer_with(dataset, asked.f, f"{archive_id}-{kind}")

    return answer(request, served.get(archive_id), asked.as_of, make)
