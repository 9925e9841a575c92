"""Map tiles of masks and composites, and where to find them (TileJSON, lists of matrix sets)."""

from __future__ import annotations

from typing import Annotated, Literal

import morecantile
from fastapi import APIRouter, Path, Query, Request, Response

from pipeline.serve import given
from pipeline.serve.answers import answer
from pipeline.serve.archives import Archives
from pipeline.serve.draw import layers, spectral, warp
from pipeline.serve.given import Parameters
from pipeline.serve.problems import Refused
from pipeline.serve.state import State
from pipeline.types import Code

router = APIRouter(tags=["tiles"])

MATRIX_SETS = {
    name: morecantile.tms.get(name) for name in ("WebMercatorQuad", "WorldCRS84Quad")
}
OVERVIEWS = "X-Overviews"
RGB = ("red", "green", "blue")
SHOWN = tuple(code for code in Code if code != Code.NO_DATA)
MAX_WINDOW_PX = 4096
"""Edge of the largest window that is read for a tile, pixels."""


class Asked(Parameters):
    """Parameters of a tile."""

    layer: Literal["mask", "composite"]
    time: str
    """Time of a scene; or name or start of a period."""
    sensor: str | None = None
    """Of a mask, where two sensors have a scene at the time."""
    classes: str | None = None
    """Of a mask, those that are shown, by names or numbers; none: all."""
    name: str | None = None
    """Of the composite."""
    bands: str | None = None
    """Three bands or one of a composite; ``count``, ``day``, ``score``; a spectral index by name; none: red,green,blue."""
    tilesize: Literal["256", "512"] = "256"
    """Edge of the tile, pixels."""


@router.get(
    "/archives/{archive_id}/tiles/{tms}/{z}/{x}/{y}.{form}",
    responses={200: {"content": {"image/png": {}, "image/webp": {}}}},
)
def tile(
    request: Request,
    archive_id: str,
    tms: Literal["WebMercatorQuad", "WorldCRS84Quad"],
    z: Annotated[int, Path(ge=0, le=24)],
    x: Annotated[int, Path(ge=0, lt=1 << 26)],
    y: Annotated[int, Path(ge=0, lt=1 << 26)],
    form: Literal["png", "webp"],
    asked: Annotated[Asked, Query()],
) -> Response:
    """Draw a tile; one beside the region is transparent."""
    served: Archives = request.app.state.archives
    matrices = MATRIX_SETS[tms]
    wanted = morecantile.Tile(x, y, z)
    if not matrices.is_valid(wanted):
        raise Refused(404, f"{tms} has no tile {z}/{x}/{y}")

    def make(state: State) -> Response:
        picture, coarsest = draw(state, asked, matrices, wanted)
        headers = {OVERVIEWS: "missing"} if coarsest == 1 else {}
        return Response(picture.rendered(form), media_type=f"image/{form}", headers=headers)

    return answer(request, served.get(archive_id), asked.as_of, make)


def require_layer(state: State, asked: Asked) -> None:
    """Refuse a layer or time that the archive has not."""
    if asked.layer == "mask":
        given.classes_of(asked.classes)
        state.scene(given.instant_of(asked.time), asked.sensor)
        return
    state.period(asked.name or next(iter(state.composites), ""), asked.time)


def draw(
    state: State, asked: Asked, tms: morecantile.TileMatrixSet, tile: morecantile.Tile
) -> tuple[layers.Picture, int]:
    """Return a tile, and the factor of the coarsest overview that it could be drawn from."""
    if asked.layer == "mask":
        return _mask(state, asked, tms, tile)
    return _composite(state, asked, tms, tile)


def _mask(
    state: State, asked: Asked, tms: morecantile.TileMatrixSet, tile: morecantile.Tile
) -> tuple[layers.Picture, int]:
    classes = given.classes_of(asked.classes, SHOWN)
    sensor, scene = state.scene(given.instant_of(asked.time), asked.sensor)
    levels = state.levels("masks", sensor)
    where = _place(state, levels, tms, tile, asked)
    if where is None:
        return layers.empty(int(asked.tilesize)), max(levels)
    return layers.mask(state, sensor, scene.position, where, classes), max(levels)


def _composite(
    state: State, asked: Asked, tms: morecantile.TileMatrixSet, tile: morecantile.Tile
) -> tuple[layers.Picture, int]:
    name = asked.name or next(iter(state.composites), "")
    at = state.period(name, asked.time)
    wanted = given.names_of(asked.bands) or RGB
    known = state.attributes("composites", name)
    beside = ("count", "day", *known.get("layers", []))
    levels = (1,) if wanted[0] in beside else state.levels("composites", name)
    stored = (*known["roles"], *beside)
    index = (
        spectral.name_of(wanted[0]) if len(wanted) == 1 and wanted[0] not in stored else None
    )
    if index is None:
        _require_bands(wanted, stored, beside)
    else:
        spectral.bands_of(index, known["roles"])
    where = _place(state, levels, tms, tile, asked)
    if where is None:
        return layers.empty(int(asked.tilesize)), max(levels)
    if index is not None:
        return layers.index(state, name, at, where, index), max(levels)
    if wanted[0] in beside:
        period = state.composites[name][at]
        return layers.beside(state, name, at, where, wanted[0], period), max(levels)
    return layers.bands(state, name, at, where, wanted), max(levels)


def _require_bands(
    wanted: tuple[str, ...], known: tuple[str, ...], beside: tuple[str, ...]
) -> None:
    unknown = [each for each in wanted if each not in known]
    alone = len(wanted) == 3 and {*wanted} & {*beside}
    if unknown or alone or len(wanted) not in (1, 3):
        raise Refused(
            422,
            f"bands: found {','.join(wanted):.80}, expected three bands, one of {', '.join(known)}, or a "
            "spectral index by its name, such as NDVI, EVI, NDMI or NBR",
        )


def _place(
    state: State,
    levels: tuple[int, ...],
    tms: morecantile.TileMatrixSet,
    tile: morecantile.Tile,
    asked: Asked,
) -> warp.Place | None:
    """Find the pixels of a tile; none: it shows nothing of the region."""
    where = warp.place(state.grid, levels, tms, tile, int(asked.tilesize))
    window = where.window
    if window is None:
        return None
    if any(each.stop - each.start > MAX_WINDOW_PX for each in window):
        raise Refused(
            413,
            "the tile shows more pixels than may be read for one, and the archive has no overviews "
            "of this layer that are small enough: zoom in",
        )
    return where
