"""What a state of a store has: its groups, time axes, scenes and overviews."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.store.arrays import layout
from pipeline.types import StoredScene

SceneRow = tuple[datetime, str, Sequence[str]]
"""Time, platform and item ids of a scene."""

FACTORS = (2, 4, 8, 16)
"""By how much the overviews are smaller than the pixels."""


def group_names(root: zarr.Group, kind: str) -> list[str]:
    """Return the names of the groups of a kind (``masks`` or ``composites``), sorted."""
    group = layout.group_of(root, kind)
    return [] if group is None else sorted(name for name, _ in group.groups())


def times(group: zarr.Group | None) -> NDArray[np.int64]:
    """Return the time axis, int64 (time), µs since 1970; empty where there is no group."""
    return np.zeros(0, np.int64) if group is None else layout.values_of(group, "time")


def length(group: zarr.Group | None) -> int:
    """Return the length of the time axis; 0 where there is no group."""
    return 0 if group is None else int(layout.array_of(group, "time").shape[0])


def period_bounds(group: zarr.Group) -> NDArray[np.int64]:
    """Return start and end of every period, int64 (time, 2), µs since 1970."""
    return layout.values_of(group, "time_bnds")


def scene_rows(group: zarr.Group | None) -> list[SceneRow]:
    """Return the scenes of a sensor in stored order; empty where there is no group."""
    if group is None:
        return []
    platforms, items = (layout.values_of(group, name) for name in ("platform", "items"))
    return [
        (time, str(platform), json.loads(str(ids)))
        for time, platform, ids in zip(
            layout.instants(times(group)), platforms, items, strict=True
        )
    ]


def stored_scenes(group: zarr.Group) -> list[StoredScene]:
    """Return the scenes of a sensor, sorted by time."""
    instants = layout.instants(times(group))
    found = [
        StoredScene(time=time, platform=str(platform), position=at)
        for at, (time, platform) in enumerate(
            zip(instants, layout.values_of(group, "platform"), strict=True)
        )
    ]
    return sorted(found, key=lambda scene: scene.time)


def fingerprints(group: zarr.Group) -> dict[datetime, NDArray[np.uint64]]:
    """Return the fingerprints (tile_y, tile_x) of every scene or period, by its time."""
    cells = layout.values_of(group, "fingerprint")
    return dict(zip(layout.instants(times(group)), cells, strict=True))


def level_name(factor: int) -> str:
    """Return the name of the group of an overview."""
    return f"by{factor}"


def levels(group: zarr.Group) -> dict[int, zarr.Group]:
    """Return the overviews of a group by factor, smallest factor first."""
    found = {factor: layout.group_of(group, level_name(factor)) for factor in FACTORS}
    return {factor: each for factor, each in found.items() if each is not None}
