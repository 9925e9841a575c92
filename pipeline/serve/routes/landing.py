"""The landing page and conformance classes of OGC API – Common, and what probes ask for."""

from __future__ import annotations

from html import escape
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from pipeline.errors import StoreError
from pipeline.serve.answers import as_json
from pipeline.serve.archives import Archives
from pipeline.serve.problems import problem

router = APIRouter()

CONFORMS_TO = (
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/json",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/html",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/oas30",
)

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>cloudmask</title>
<h1>cloudmask</h1>
<p>This server answers questions about archives of cloud masks and composites.
Its map is not built: run <code>make web</code> in the checkout and start the server again.</p>
<ul>{items}<li><a href="/api.html">The API</a>, <a href="/api">OpenAPI</a>, <a href="/stac">STAC</a></li></ul>
"""


@router.get("/conformance", tags=["about"])
def conformance() -> Response:
    """Return the conformance classes."""
    return as_json({"conformsTo": [*CONFORMS_TO]})


@router.get("/landing", tags=["about"])
def landing(request: Request) -> Response:
    """Return the landing page as JSON."""
    return as_json(document(str(request.base_url).rstrip("/")))


def document(base: str) -> dict[str, Any]:
    """Return the landing page of OGC API – Common."""
    links = (
        ("self", "/landing", "application/json", "this document"),
        ("service-desc", "/api", "application/vnd.oai.openapi+json;version=3.1", "OpenAPI"),
        ("service-doc", "/api.html", "text/html", "the API, to read"),
        ("conformance", "/conformance", "application/json", "conformance classes"),
        ("data", "/archives", "application/json", "the archives"),
        ("search", "/stac", "application/json", "the same as a STAC API"),
    )
    return {
        "title": "cloudmask",
        "description": "Cloud masks, composites and clear-sky statistics of satellite archives",
        "version": version("cloudmask"),
        "links": [
            {"rel": rel, "href": base + path, "type": kind, "title": title}
            for rel, path, kind, title in links
        ],
    }


def plain_page(archives: Archives) -> HTMLResponse:
    """Return the page that stands where the map would be."""
    items = "".join(
        f'<li><a href="/archives/{escape(name)}">{escape(name)}</a></li>'
        for name in archives.names
    )
    return HTMLResponse(PAGE.format(items=items))


@router.get("/health/live", tags=["health"])
def live() -> Response:
    """Say that the process answers."""
    return as_json({"status": "up"})


@router.get("/health/ready", tags=["health"])
def ready(request: Request) -> Response:
    """Say that every archive can be opened: 503 if not."""
    archives: Archives = request.app.state.archives
    for name in archives.names:
        try:
            archives.get(name).state()
        except StoreError:
            return problem(503, f"archive {name} cannot be opened at present")
    return as_json({"status": "ready"})
