"""Whole rasters of items, as the STAC API names them: Cloud Optimized GeoTIFFs, read in parts by GDAL and others."""

from __future__ import annotations

from typing import Annotated, Literal

import xarray as xr
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse

from pipeline.config import ServeSettings
from pipeline.query import export
from pipeline.serve.answers import answer
from pipeline.serve.archives import Archives
from pipeline.serve.given import Parameters
from pipeline.serve.kept_files import KeptFiles
from pipeline.serve.problems import Refused
from pipeline.serve.stac.documents import BESIDE, COG, instant_of
from pipeline.serve.state import State

router = APIRouter(tags=["files"])


PATH = "/archives/{archive_id}/assets/{kind}/{name}/{stamp}/{array}.tif"


@router.head(PATH, include_in_schema=False)
@router.get(
    PATH,
    responses={
        200: {"content": {COG: {}}},
        206: {"description": "a part", "content": {COG: {}}},
    },
)
def asset(
    request: Request,
    archive_id: str,
    kind: Literal["masks", "composites"],
    name: str,
    stamp: str,
    array: str,
    asked: Annotated[Parameters, Query()],
) -> Response:
    """Return one raster of an item, of the whole region; parts of it by the header Range."""
    served: Archives = request.app.state.archives
    settings: ServeSettings = request.app.state.settings
    kept: KeptFiles = request.app.state.kept_files

    def make(state: State) -> Response:
        _require(state, (kind, name, array), settings)
        pixels = _pixels(state, kind, name, stamp)[[array]]
        key = f"{state.name}-{state.snapshot}-{kind}-{name}-{stamp}-{array}.tif"
        path = kept.get(key, lambda file: export(pixels, file))
        return FileResponse(path, media_type=COG, filename=f"{array}.tif")

    return answer(request, served.get(archive_id), asked.as_of, make)


def _require(state: State, wanted: tuple[str, str, str], settings: ServeSettings) -> None:
    kind, name, array = wanted
    if kind == "masks":
        known = ("mask", "confidence") if name in state.sensors else ()
    else:
        state.composite(name)
        found = state.attributes("composites", name)
        known = (*found["roles"], *found.get("layers", []), *BESIDE)
    if array not in known:
        raise Refused(
            404, "there is no such asset: the items of /stac name those that there are"
        )
    ny, nx = state.grid.geobox.shape
    if ny * nx > settings.max_pixels:
        raise Refused(
            413,
            f"the region has {ny * nx} pixels, more than {settings.max_pixels}, the most: "
            f"ask /archives/{state.name}/{kind} for a part of it",
        )


def _pixels(state: State, kind: str, name: str, stamp: str) -> xr.Dataset:
    """Return the group of an item at its time, lazy."""
    try:
        when = instant_of(stamp)
    except ValueError:
        raise Refused(404, "there is no such item") from None
    dataset = state.archive.masks(name) if kind == "masks" else state.archive.composite(name)
    times = dataset["time"].to_numpy().astype("datetime64[us]").tolist()
    if when.replace(tzinfo=None) not in times:
        raise Refused(404, "there is no such item")
    return dataset.isel(time=times.index(when.replace(tzinfo=None)))
