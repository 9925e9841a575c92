"""Archives over HTTP: clear-sky series, histories of places, files, map tiles, STAC, and the web map.

::

    app         make_app(): paths, errors, what stands before every request
    server      serve(): uvicorn, one process or several
    archives    an archive by id; the newest snapshot, and earlier ones
    state       one snapshot, and what of it stays in memory
    given       parameters and shapes, checked and bounded before anything is read
    answers     ETag, Cache-Control; one snapshot an answer; 410 for an expired one
    problems    errors as problem details (RFC 9457)
    patience    gives a request up after its time, or when whoever asked has gone
    guard       size of bodies, API key, security headers
    watching    a line and numbers of each request
    files, kept_files, wmts     rasters of areas and of items; what QGIS reads
    series      a clear-sky series as JSON and CSV
    routes/     a module for each kind of answer
    stac/       a STAC API over the same
    draw/       tiles: which pixels, which overview, which colours
    web/        the map, JavaScript that is built by npm

A request names an archive by its id, never a path or a URL, and never writes.
"""

from pipeline.serve.app import make_app
from pipeline.serve.server import Served, serve

__all__ = ["Served", "make_app", "serve"]
