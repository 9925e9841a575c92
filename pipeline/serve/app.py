"""The application: its paths, its errors, and what stands before every request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from anyio import to_thread
from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from pipeline.config import ServeSettings
from pipeline.serve import guard, problems, watching
from pipeline.serve.archives import Archives
from pipeline.serve.kept_files import KeptFiles
from pipeline.serve.problems import Problem
from pipeline.serve.routes import (
    assets,
    clear_sky,
    describe,
    files,
    landing,
    point,
    tiles,
    tilesets,
)
from pipeline.serve.routes.judging import Judge, judged_by
from pipeline.serve.stac import add_api

WEB = Path(__file__).parent / "web" / "dist"
"""The map, as its build leaves it."""

AREA = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"enum": ["Feature", "FeatureCollection", "Polygon", "MultiPolygon"]},
        "geometry": {"type": "object"},
        "features": {"type": "array", "minItems": 1},
    },
}
"""Schema of an area of interest: GeoJSON; what more is expected is said by the answer."""

ROUTERS = (
    landing.router,
    describe.router,
    clear_sky.router,
    point.router,
    files.router,
    assets.router,
    tilesets.router,
    tiles.router,
)


def make_app(
    archives: Mapping[str, str],
    settings: ServeSettings | None = None,
    *,
    web: Path = WEB,
    judge: Judge | None = None,
) -> FastAPI:
    """Make the application that serves some archives.

    Parameters
    ----------
    archives
        Paths or URLs of stores by id. No request names one.
    settings
        What a request may ask for; none: the defaults.
    web
        Folder of the built map, served at ``/``; where it is missing a plain page says how to build it.
    judge
        What answers ``screened=true``; none: it is refused.
    """
    app = FastAPI(
        title="cloudmask",
        version=version("cloudmask"),
        summary="Cloud masks, composites and clear-sky statistics of satellite archives",
        openapi_url="/api",
        docs_url="/api.html",
        redoc_url=None,
        responses=problems.RESPONSES,
        lifespan=_lifespan,
    )
    settings = settings or ServeSettings()
    app.state.archives = Archives(archives, settings)
    add_api(app, app.state.archives, settings)
    app.state.settings = settings
    app.state.judge = judged_by(judge, settings)
    app.state.kept_files = KeptFiles(int(app.state.settings.files_bytes))
    problems.handle_errors(app)
    for router in ROUTERS:
        app.include_router(router)
    guard.protect(app, settings)
    watching.watch(app)
    _serve_map(app, web)
    _describe(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Bound the threads that work on requests: others wait for their turn."""
    to_thread.current_default_thread_limiter().total_tokens = app.state.settings.threads
    yield


def _serve_map(app: FastAPI, web: Path) -> None:
    """Serve the map's page and its assets, and nothing else: a mount at ``/`` would answer for every other path."""
    index = web / "index.html"
    if index.is_file():
        app.mount("/assets", StaticFiles(directory=web / "assets"), name="map")
    for path in ("/", "/index.html"):
        app.add_api_route(
            path,
            lambda: (
                FileResponse(index)
                if index.is_file()
                else landing.plain_page(app.state.archives)
            ),
            methods=["GET", "HEAD"],
            include_in_schema=False,
            response_model=None,
        )


def _describe(app: FastAPI) -> None:
    """Name the schema of problems in the OpenAPI document, to which every route refers."""
    make = app.openapi

    def openapi() -> dict[str, object]:
        document = make()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema()
        schemas["Area"] = AREA
        return document

    app.openapi = openapi  # type: ignore[method-assign]
