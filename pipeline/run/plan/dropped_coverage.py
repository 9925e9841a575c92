"""What is known of items that were dropped before a pixel was read: which tiles they would have covered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import pystac
from numpy.typing import NDArray

from pipeline import sensors
from pipeline.errors import RadiometryError
from pipeline.run.plan.tile_index import rough_outlines, touching
from pipeline.types import Items

Boxes = Callable[[str], NDArray[np.object_]]
"""Sensor -> what must be read of each tile for its masks, in the plane of the grid."""


def missed_in(items: Items, crs: str, boxes: Boxes) -> Iterator[tuple[int, int]]:
    """Yield (position in `Items.missed`, row of a tile) of what a dropped item would have covered.

    One that says nowhere where it lies may have covered any of them, and counts in all.

    Parameters
    ----------
    items
        Of a search.
    crs
        Of the boxes.
    boxes
        See `Boxes`.
    """
    by_sensor: defaultdict[str, list[int]] = defaultdict(list)
    for position, item in enumerate(items.missed):
        by_sensor[sensor_of(item)].append(position)
    for sensor, members in by_sensor.items():
        known = rough_outlines([items.missed[position] for position in members], crs)
        for position, tile in touching(known, boxes(sensor)).T.tolist():
            yield members[position], tile


def sensor_of(item: pystac.Item) -> str:
    """Return an item's sensor, or its collection where that is not known."""
    try:
        return sensors.profile(item).sensor
    except RadiometryError:
        return item.collection_id or "unknown"
