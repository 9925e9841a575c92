"""What each archive has: extent, sensors, scenes, composites, classes."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from pipeline.config import ServeSettings
from pipeline.serve.answers import answer, as_json
from pipeline.serve.archives import Archives
from pipeline.serve.given import Parameters
from pipeline.serve.state import State, period_name
from pipeline.types import LEGEND, USABLE, Code

router = APIRouter(tags=["archives"])


@router.get("/archives")
def archives(request: Request) -> Response:
    """List the archives."""
    served: Archives = request.app.state.archives
    base = str(request.base_url).rstrip("/")
    listed = [
        {
            "id": name,
            "title": served.get(name).state().archive.title,
            "links": _links(base, name),
        }
        for name in served.names
    ]
    links = [{"rel": "self", "href": f"{base}/archives"}]
    return as_json({"archives": listed, "links": links, **_basemap(request.app.state.settings)})


def _basemap(settings: ServeSettings) -> dict[str, dict[str, str]]:
    if settings.basemap is None:
        return {}
    told = {"url": settings.basemap, "attribution": settings.basemap_attribution}
    return {"basemap": told}


@router.get("/archives/{archive_id}")
def archive(
    request: Request, archive_id: str, asked: Annotated[Parameters, Query()]
) -> Response:
    """Describe an archive: what it covers, has, and was made by."""
    served: Archives = request.app.state.archives
    base = str(request.base_url).rstrip("/")
    return answer(
        request,
        served.get(archive_id),
        asked.as_of,
        lambda state: as_json(described(state) | {"links": _links(base, archive_id)}),
    )


def _links(base: str, name: str) -> list[dict[str, str]]:
    here = f"{base}/archives/{name}"
    return [
        {"rel": "self", "href": here, "type": "application/json"},
        {"rel": "clear-sky", "href": f"{here}/clear-sky", "type": "application/json"},
        {"rel": "point", "href": f"{here}/point", "type": "application/json"},
        {"rel": "tiles", "href": f"{here}/tiles", "type": "application/json"},
        {"rel": "stac", "href": f"{base}/stac", "type": "application/json"},
    ]


@lru_cache(maxsize=32)
def described(state: State) -> dict[str, Any]:
    """Return the description of an archive, without links."""
    grid = state.grid
    crs = grid.geobox.crs
    assert crs is not None, "a grid has a CRS"
    return {
        "id": state.name,
        "title": state.archive.title or state.name,
        "description": _description(state),
        "bbox": [round(each, 6) for each in grid.geobox.geographic_extent.boundingbox],
        "crs": f"EPSG:{crs.epsg}" if crs.epsg else crs.to_wkt(),
        "resolution_m": grid.resolution_m,
        "shape": list(grid.geobox.shape),
        "sensors": list(state.sensors),
        "classes": classes(),
        "scenes": scenes(state),
        "composites": [composite(state, name) for name in state.composites],
        "overviews": all(len(state.levels(kind, name)) > 1 for kind, name in _groups(state)),
        "snapshot": state.snapshot,
        "last_run": last_run(state),
    }


def _groups(state: State) -> list[tuple[str, str]]:
    return [
        *(("masks", each) for each in state.sensors),
        *(("composites", each) for each in state.composites),
    ]


def _description(state: State) -> str:
    return (
        f"Cloud and cloud shadow masks of {', '.join(state.sensors) or 'no sensor'}; "
        f"composites: {', '.join(state.composites) or 'none'}"
    )


def classes() -> list[dict[str, Any]]:
    """Return the legend."""
    return [
        {
            "value": int(each.code),
            "name": each.meaning,
            "label": each.label,
            "color": each.colour,
            "usable": each.code in USABLE,
        }
        for each in LEGEND
    ]


def scenes(state: State) -> list[dict[str, Any]]:
    """Return the scenes of all sensors, by time; per cents are of the pixels with data of the whole region."""
    found = [row for sensor in state.sensors for row in _scenes_of(state, sensor)]
    return sorted(found, key=lambda row: (row["time"], row["sensor"]))


def _scenes_of(state: State, sensor: str) -> list[dict[str, Any]]:
    masks = state.masks(sensor)
    counts = np.asarray(masks.reader("histogram", (slice(None),))).sum((1, 2), dtype=np.int64)
    rows = []
    for scene in masks.scenes:
        each = counts[scene.position]
        seen = int(each.sum() - each[Code.NO_DATA])
        clear = int(each[list(USABLE)].sum())
        rows.append(
            {
                "time": written(scene.time),
                "sensor": sensor,
                "platform": scene.platform,
                "clear_percent": round(100.0 * clear / seen, 2) if seen else None,
                "observed_percent": round(
                    100.0 * seen / state.grid.geobox.shape[0] / state.grid.geobox.shape[1], 2
                ),
            }
        )
    return rows


def composite(state: State, name: str) -> dict[str, Any]:
    """Return bands, layers and periods of a composite."""
    attributes = state.attributes("composites", name)
    periods = sorted(state.composites[name], key=lambda each: each.start)
    return {
        "name": name,
        "method": attributes.get("method"),
        "period": attributes.get("period"),
        "bands": list(attributes["roles"]),
        "layers": ["count", "day", *attributes.get("layers", [])],
        "periods": [
            {
                "name": period_name(each),
                "start": written(each.start),
                "end": written(each.end),
            }
            for each in periods
        ],
    }


def last_run(state: State) -> dict[str, Any] | None:
    """Return when the last run ended and what it did, without paths and links; none: there was none."""
    records = state.archive.records()
    if not records:
        return None
    shown = ("run_id", "started", "finished", "duration_s", "status")
    return {name: records[-1][name] for name in shown if name in records[-1]}


def written(instant: datetime) -> str:
    """Return an instant as the API writes it."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
