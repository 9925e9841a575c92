"""Parts of a stored record as rows: its manifest, with names in the place of positions, and sums over tiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.types.legend import UNFIT

Plain = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenedScene:
    """What evidence from time did with one scene in one tile, for one period."""

    sensor: str
    time: datetime
    pixels: Mapping[str, int]
    """``usable``: ground by its mask, with all bands. Of them, put aside for ``cloud``, for ``shadow``; and ``restored``:
    they stand because all of their pixel's period were put aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """What evidence from time did in one tile and period that a run composed."""

    composite: str
    period: str
    """Its start, ISO date."""
    tile: str
    filled: int
    suspect: int
    """Pixels with an observation, and of them those that rest on too little evidence."""
    scenes: tuple[ScreenedScene, ...]
    no_opinion: tuple[str, ...] = ()
    """Ids of items that lack the mask of `ScreenSettings.second_opinion`, where one is asked for."""


def manifest_rows(record: Plain) -> list[dict[str, Any]]:
    """Return the manifest of a record, written out.

    Parameters
    ----------
    record
        `Record.to_dict`, as stored; records of old versions have no manifest.

    Returns
    -------
    A row for each tile and period: ``tile``, ``period``, ``cells``, ``complete``, ``unreadable``,
    ``expected`` and ``used`` (item ids), ``dropped`` (item id -> reason).
    """
    names = [*record["items"], *record.get("missed", ())]
    reasons = {(each["item_id"], each["tile"]): each["reason"] for each in record["dropped"]}
    return [_written_out(row, names, reasons) for row in record.get("manifest", ())]


def unfit_rows(record: Plain) -> list[dict[str, Any]]:
    """Add up, over the tiles, the pixels whose numbers are no reflectance.

    Parameters
    ----------
    record
        As of `manifest_rows`; records of old versions did not count them.

    Returns
    -------
    A row for each scene and stage: ``time``, ``sensor``, ``stage``, and pixels by kind, of `UNFIT`.
    """
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for tile in record["tiles"]:
        for each in tile.get("unfit", ()):
            name = (each["time"], each["sensor"], each["stage"])
            empty = dict(zip(("time", "sensor", "stage"), name, strict=True))
            row = rows.setdefault(name, empty | dict.fromkeys(UNFIT, 0))
            for kind, pixels in each["pixels"].items():
                row[kind] += pixels
    return [rows[name] for name in sorted(rows)]


def screened_rows(record: Plain) -> list[dict[str, Any]]:
    """Add up, over the tiles, what evidence from time did with each scene.

    Parameters
    ----------
    record
        As of `manifest_rows`; records of old versions did not count it.

    Returns
    -------
    A row for each composite, period and scene: ``composite``, ``period``, ``time``, ``sensor``, and pixels ``usable``,
    ``cloud``, ``shadow``, ``restored``; and after those of each period one for all of its scenes, without ``time`` and
    ``sensor``, that has the pixels ``filled`` and ``suspect``.
    """
    scenes: dict[tuple[str, ...], Counter[str]] = {}
    periods: dict[tuple[str, ...], Counter[str]] = {}
    for part in (part for tile in record["tiles"] for part in tile.get("screened", ())):
        name = (part["composite"], part["period"])
        for each in part["scenes"]:
            counts = {key: each["pixels"][key] for key in _OBSERVATIONS}
            scenes.setdefault((*name, each["time"], each["sensor"]), Counter()).update(counts)
            periods.setdefault(name, Counter()).update(counts)
        pixels = {key: part[key] for key in _PIXELS}
        periods.setdefault(name, Counter()).update(pixels)
    rows = {**scenes, **{(*name, _LAST): counts for name, counts in periods.items()}}
    return [_screened(name, rows[name]) for name in sorted(rows)]


_OBSERVATIONS = ("usable", "cloud", "shadow", "restored")
_PIXELS = ("filled", "suspect")
_LAST = "~"
"""Sorts behind every time."""


def _screened(name: tuple[str, ...], counts: Counter[str]) -> dict[str, Any]:
    composite, period, *scene = name
    time, sensor = scene if len(scene) == 2 else (None, None)
    numbers = {
        key: counts[key] if key in _OBSERVATIONS or time is None else None
        for key in (*_OBSERVATIONS, *_PIXELS)
    }
    return {
        "composite": composite,
        "period": period,
        "time": time,
        "sensor": sensor,
        **numbers,
    }


def _written_out(
    row: Plain, names: list[str], reasons: Mapping[tuple[str, str | None], str]
) -> dict[str, Any]:
    gone = {names[position] for position in row["dropped"]}
    expected = [names[position] for position in row["expected"]]
    everywhere = {name: reasons.get((name, None), "") for name in expected if name in gone}
    return {
        "tile": row["tile"],
        "period": row["period"],
        "cells": row["cells"],
        "complete": row["complete"],
        "unreadable": row["unreadable"],
        "expected": expected,
        "used": [name for name in expected if name not in gone],
        "dropped": {
            name: reasons.get((name, row["tile"]), reason)
            for name, reason in everywhere.items()
        },
    }
