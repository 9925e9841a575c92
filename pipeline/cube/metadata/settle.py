"""Settles doubtful offsets by pixels: reads a few overviews, and records the decision in the item."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pystac
from numpy.typing import NDArray

from pipeline import sensors
from pipeline.access import RetryPolicy
from pipeline.cube.metadata.darkness import ROLES, Finding, judge_offset
from pipeline.cube.metadata.hrefs import asset_ref
from pipeline.cube.opening import read_asset
from pipeline.errors import AccessError, AssetError, RadiometryError
from pipeline.types import Items

RETRY = RetryPolicy(attempts=3, first_wait_s=0.5, longest_wait_s=16.0, total_s=30.0)
"""Shorter than for pixels that are needed: if these cannot be read, the metadata decide."""

WORKERS = 8
"""Items whose pixels are read at once."""

GIVE_UP = 24
"""After this many unreadable items in a row no more are read: a host that is down or requires a login would delay a
plan for hours."""

EDGE_PX = 640
"""Longer edge of the thinned band in pixels: a Sentinel-2 tile's overview of 160 m."""

WHOLE_PX = 2048**2
"""A raster without overviews is read whole up to this size; of a larger one, windows are read."""

WINDOW_PX, WINDOWS = 128, 5
"""Edge of a window, and how many there are along each edge of such a raster."""


def settled(
    items: Items,
    *,
    hosts: Collection[str] = (),
    known: Iterable[pystac.Item] = (),
    every: bool = False,
) -> Items:
    """Settle the offset by pixels for items whose metadata leave it in doubt.

    Parameters
    ----------
    items
        The result of a search.
    hosts
        Further hosts that assets may be read from, as a job allows.
    known
        Items that were settled before, e.g. in the search saved by the previous run: their decisions are reused
        and their pixels not read again, unless the item was reprocessed.
    every
        Read all Sentinel-2 items, not only the doubtful ones, as a check of the metadata.

    Returns
    -------
    The same items in the same order. Each item that was read is a copy whose properties
    (`pipeline.sensors.recorded`) hold the offsets by metadata and by pixels and the decision, which
    `sensors.radiometry` reads first. If the pixels are inconclusive or cannot be read, the metadata decide and the
    item stays doubtful.
    """
    before = {_identity(item): item for item in known if _told(item)}
    wanted = [
        position for position, item in enumerate(items.items) if _to_be_asked(item, every=every)
    ]

    unread = _InARow()

    def settle(position: int) -> pystac.Item:
        item = items.items[position]
        earlier = before.get(_identity(item))
        kept = sensors.recorded(earlier) if earlier is not None else None
        if kept is not None:
            return sensors.record(item, kept)
        found = GIVEN_UP if unread.count >= GIVE_UP else ask(item, hosts=hosts)
        unread.note(happened=found.unread)
        decided = _decided(sensors.radiometry(sensors.unrecorded(item)), found)
        return sensors.record(item, decided, unread=found.unread)

    if not wanted:
        return items
    settled_items = list(items.items)
    with ThreadPoolExecutor(min(WORKERS, len(wanted)), thread_name_prefix="settle") as pool:
        for position, item in zip(wanted, pool.map(settle, wanted), strict=True):
            settled_items[position] = item
    return dataclasses.replace(items, items=tuple(settled_items))


GIVEN_UP = Finding(
    verdict="inconclusive",
    reason=f"they were not asked, since those of {GIVE_UP} items before could not be read",
    unread=True,
)


class _InARow:
    """Counts how often in a row something has happened."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def note(self, *, happened: bool) -> None:
        with self._lock:
            self.count = self.count + 1 if happened else 0


def ask(item: pystac.Item, *, hosts: Collection[str] = ()) -> Finding:
    """Decide by the pixels of a Sentinel-2 item whether they have an offset of 1000.

    Reads a thinned copy of up to five bands, about 3 MB for a whole tile. Unreadable pixels are no error here but an
    inconclusive verdict; the error is raised when the pixels are needed.
    """
    profile = sensors.profile(item)
    offered = profile.offered(item)
    # Catalogues with 10 m bands only have no narrow near infrared.
    keys = {role: offered[role] for role in ROLES if role in offered}
    if "nir08" not in keys and "nir" in offered:
        keys["nir08"] = offered["nir"]
    numbers = {}
    for role, key in keys.items():
        try:
            band = profile.band(item, role if key == offered.get(role) else "nir")
            ref = asset_ref(item, key, hosts)
            numbers[role] = read_asset(ref, partial(thinned, band=band), retry=RETRY)
        except (AssetError, AccessError, RadiometryError) as error:
            return Finding(
                verdict="inconclusive", reason=f"they cannot be read: {error}", unread=True
            )
    return judge_offset(numbers, toa=profile.level == "L1C")


def thinned(
    raster: Any,  # noqa: ANN401  (rasterio has no types)
    band: int = 1,
) -> NDArray[np.int64]:
    """Read a band thinned to a few hundred pixels per edge; 0 = no data.

    GDAL reads from the nearest overview, or resolution level of JPEG 2000.
    """
    if raster.overviews(band) or raster.width * raster.height <= WHOLE_PX:
        factor = max(1.0, max(raster.width, raster.height) / EDGE_PX)
        shape = (math.ceil(raster.height / factor), math.ceil(raster.width / factor))
        numbers = raster.read(band, out_shape=shape)
    else:
        numbers = np.stack([raster.read(band, window=window) for window in _windows(raster)])
    # Some copies are floating point, with NaN where there is no data.
    return np.asarray(np.nan_to_num(numbers, nan=0, posinf=0, neginf=0)).astype(np.int64)


def _windows(raster: Any) -> list[tuple[tuple[int, int], tuple[int, int]]]:  # noqa: ANN401
    """Spread windows evenly over a raster without overviews, so that it is not read whole."""
    starts = [
        [round(at * max(0, edge - WINDOW_PX) / (WINDOWS - 1)) for at in range(WINDOWS)]
        for edge in (raster.height, raster.width)
    ]
    ends = (min(raster.height, WINDOW_PX), min(raster.width, WINDOW_PX))
    return [
        ((row, row + ends[0]), (col, col + ends[1])) for row in starts[0] for col in starts[1]
    ]


def _decided(metadata: sensors.Radiometry, finding: Finding) -> sensors.Radiometry:
    """Combine the offset by the metadata with the verdict of the pixels."""
    said = metadata.reason
    if finding.verdict == "inconclusive":
        reason = (
            f"{said}; its pixels cannot tell ({finding.reason}): the metadata's word stands"
        )
        return dataclasses.replace(metadata, reason=reason)
    offset = -0.1 if finding.verdict == "offset" else 0.0
    agree = "agree" if offset == metadata.offset else "contradict it and count"
    return sensors.Radiometry(
        scale=1e-4,
        offset=offset,
        nodata=0,
        reason=(
            f"{said}; its pixels {agree}: {finding.verdict} in them "
            f"({finding.reason}), so offset {offset:g}"
        ),
    )


def _to_be_asked(item: pystac.Item, *, every: bool) -> bool:
    """Return whether an item's pixels are to be read: it is in doubt and they never were."""
    if not sensors.asks_for_offset(item):
        return False
    return not _told(item) and (every or sensors.radiometry(item).doubtful)


def _told(item: pystac.Item) -> bool:
    """Return whether an item's pixels were read before; an inconclusive verdict would not change."""
    return sensors.recorded(item) is not None and not sensors.was_unread(item)


def _identity(item: pystac.Item) -> tuple[Any, ...]:
    """Return a key that changes when an item is reprocessed or updated.

    ``updated`` is part of it, since a catalogue may add or remove the offset without a new processing.
    """
    rank = sensors.processing_rank(item)
    return item.collection_id, item.id, rank, item.properties.get("updated")
