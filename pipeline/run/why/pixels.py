"""A pixel as the store has it, and one composed again in the same form, so that both compare."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np

from pipeline.composite import nothing
from pipeline.run.common.method import layers_of
from pipeline.run.why.answer import Pixel
from pipeline.run.why.asked import Asked
from pipeline.run.why.looked import Looked
from pipeline.store.arrays.composites import MISSING, SCALE, encode_reflectance


def stored_pixel(asked: Asked) -> Pixel:
    """Return what the store has of a pixel."""
    archive, name = asked.archive, asked.settings.name
    at = archive.periods(name).index(asked.period)
    names = [each for each in archive.arrays("composites", name) if _is_layer(each)]
    read = archive.reader("composites", name)
    y, x = (slice(each, each + 1) for each in asked.at)
    found = {each: read(each, (at, y, x))[0, 0] for each in names}
    ids = archive.item_ids
    steps = {role: int(found[role]) for role in asked.settings.bands}
    return _pixel(steps, {**found, "source": ids[s] if (s := found["source"]) >= 0 else None})


def _is_layer(name: str) -> bool:
    return name not in ("time", "time_bnds", "x", "y", "spatial_ref", "fingerprint")


def composed_pixel(asked: Asked, looked: Looked) -> Pixel:
    """Return the pixel composed again, as the store would have it; no data where there was nothing to read."""
    roles = asked.settings.bands
    composed = nothing((1, 1), roles, layers_of(asked.settings))
    if looked.pixels is not None:
        composed = looked.pixels.composed
    found = {str(name): each.to_numpy()[0, 0] for name, each in composed.data_vars.items()}
    steps = {
        role: int(encode_reflectance(np.array([found[role]], np.float32))[0]) for role in roles
    }
    source = int(found["source"])
    named = looked.composing.task.item_id(source) if source >= 0 else None
    return _pixel(steps, {**found, "source": named})


def _pixel(steps: Mapping[str, int], found: Mapping[str, Any]) -> Pixel:
    """Return a pixel as the store has it: reflectance in whole steps of 1e-4."""
    pixel: dict[str, float | int | str | None] = {
        role: None if step == MISSING else round(step * SCALE, 4)
        for role, step in steps.items()
    }
    for name in sorted({*found} - {*steps, "count", "day", "source"}):
        pixel[name] = float(found[name]) if np.isfinite(found[name]) else None
    day = int(found["day"])
    pixel |= {"count": int(found["count"]), "day": _iso(day) if day >= 0 else None}
    return pixel | {"source": found["source"]}


def _iso(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()
