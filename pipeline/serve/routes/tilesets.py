"""Where to find map tiles: a list of tile sets, TileJSON, and WMTS capabilities for QGIS and GDAL."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from pipeline.serve import wmts
from pipeline.serve.answers import answer, as_json
from pipeline.serve.archives import Archives
from pipeline.serve.given import Parameters
from pipeline.serve.routes import tiles
from pipeline.serve.state import State

router = APIRouter(tags=["tiles"])

TMS = "WebMercatorQuad"
EQUATOR_M_PX = 156_543.03392804097
"""Edge of a pixel at zoom 0 on the equator."""


@router.get("/archives/{archive_id}/tiles")
def tile_sets(
    request: Request, archive_id: str, asked: Annotated[Parameters, Query()]
) -> Response:
    """List the tile sets: a layer each, with its times."""
    served: Archives = request.app.state.archives
    base = _base(request, archive_id)

    def make(state: State) -> Response:
        sets = [
            {
                "id": each.id,
                "title": each.title,
                "times": list(each.times),
                "links": [
                    {
                        "rel": "item",
                        "templated": True,
                        "href": f"{base}/{{z}}/{{x}}/{{y}}.png?{urlencode(each.query)}&time={{time}}",
                    }
                ],
            }
            for each in wmts.layers_of(state)
        ]
        return as_json({"tilesets": sets, "wmts": f"{base}/WMTSCapabilities.xml"})

    return answer(request, served.get(archive_id), asked.as_of, make)


@router.get("/archives/{archive_id}/tiles/{tms}/tilejson.json")
def tile_json(
    request: Request,
    archive_id: str,
    tms: Literal["WebMercatorQuad"],  # noqa: ARG001 -- a part of the path
    asked: Annotated[tiles.Asked, Query()],
) -> Response:
    """Describe the tiles of a layer (TileJSON 3.0.0)."""
    served: Archives = request.app.state.archives
    query = urlencode(asked.model_dump(exclude_none=True, exclude_defaults=True))

    def make(state: State) -> Response:
        tiles.require_layer(state, asked)
        template = f"{_base(request, archive_id)}/{{z}}/{{x}}/{{y}}.png?{query}"
        return as_json(described(state, template))

    return answer(request, served.get(archive_id), asked.as_of, make)


def described(state: State, template: str) -> dict[str, Any]:
    """Return TileJSON; beyond its largest zoom a tile shows nothing finer than a pixel."""
    west, south, east, north = state.grid.geobox.geographic_extent.boundingbox
    middle = math.cos(math.radians((south + north) / 2))
    finest = math.ceil(math.log2(EQUATOR_M_PX * middle / state.grid.resolution_m))
    return {
        "tilejson": "3.0.0",
        "name": state.archive.title or state.name,
        "tiles": [template],
        "bounds": [west, south, east, north],
        "center": [(west + east) / 2, (south + north) / 2, max(0, finest - 4)],
        "minzoom": 0,
        "maxzoom": min(finest + 1, 24),
    }


@router.get(
    "/archives/{archive_id}/tiles/{tms}/WMTSCapabilities.xml",
    responses={200: {"content": {wmts.MEDIA_TYPE: {}}}},
)
def wmts_capabilities(
    request: Request,
    archive_id: str,
    tms: Literal["WebMercatorQuad"],
    asked: Annotated[Parameters, Query()],
) -> Response:
    """Return the capabilities of a Web Map Tile Service, which QGIS and GDAL read."""
    served: Archives = request.app.state.archives

    def make(state: State) -> Response:
        matrices = tiles.MATRIX_SETS[tms]
        document = wmts.capabilities(state, _base(request, archive_id), matrices, tms)
        return Response(document, media_type=wmts.MEDIA_TYPE)

    return answer(request, served.get(archive_id), asked.as_of, make)


def _base(request: Request, archive_id: str) -> str:
    return f"{str(request.base_url).rstrip('/')}/archives/{archive_id}/tiles/{TMS}"
