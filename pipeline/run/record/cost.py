"""What a run took, in seconds, bytes and requests, over how much ground, and in money.

::

    measured(stages, name)   what happens inside is a stage's cost
    unmeasured()             what happened in this process outside of all stages
    areas(plan, receipts)    ground worked on, and ground times scenes
    bill(...)                quantities times prices

A process has one clock of CPU time, and GDAL one count of requests: where two stages run in one process
at the same time, each count goes to the stage that ends first. No count goes to two, so that costs of
stages, tiles and processes add up to what was really spent.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager

from pipeline import cube
from pipeline.config.settings import Prices
from pipeline.run.plan.plan import Plan
from pipeline.types import Cost, Tile, TileReceipt
from pipeline.types.record import Bill

GB = 1e9
"""As clouds bill them."""
HOUR_S = 3600.0


class Clock:
    """Everything that this process spends, given out piece by piece."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._last = _now()
        self._rest = Cost()

    def start(self) -> None:
        """Begin a stage."""
        with self._lock:
            if not self._running:
                self._rest += self._taken()
            self._running += 1

    def stop(self, *, failed: bool) -> Cost:
        """End a stage and return its cost; a failed one's goes to what is outside of all stages."""
        with self._lock:
            self._running -= 1
            cost = self._taken()
            if failed:
                self._rest += cost
            return cost

    def rest(self) -> Cost:
        """Return what was outside of all stages since this was last asked."""
        with self._lock:
            if not self._running:
                self._rest += self._taken()
            rest, self._rest = self._rest, Cost()
            return rest

    def _taken(self) -> Cost:
        before, self._last = self._last, _now()
        return self._last - before


def _now() -> Cost:
    counted = cube.METER.total()
    return dataclasses.replace(
        counted, seconds=time.perf_counter(), cpu_seconds=time.process_time()
    )


_CLOCK = Clock()


@contextmanager
def measured(stages: MutableMapping[str, Cost], name: str) -> Iterator[None]:
    """Add what this process spends inside to a stage's cost.

    What an error ends is no cost of the stage, because the try leaves no receipt: it is found by
    `unmeasured`.
    """
    _CLOCK.start()
    try:
        yield
    except BaseException:
        _CLOCK.stop(failed=True)
        raise
    stages[name] = stages.get(name, Cost()) + _CLOCK.stop(failed=False)


def unmeasured() -> Cost:
    """Return what this process spent outside of all stages since this was last asked.

    Commits, waits for workers, and tries that failed.
    """
    return _CLOCK.rest()


# -- ground ------------------------------------------------------------------------------------


def areas(plan: Plan, receipts: Iterable[TileReceipt]) -> tuple[float, float]:
    """Return the ground worked on in km², and the sum over the scenes masked of their ground.

    Whole tiles in the plane of the grid, what lies outside of the AOI included: that is what was read,
    masked and stored. A tile counts once if a scene of it was tried or a period composed.
    """
    sizes = {tile.name: _square_km(tile) for tile in plan.tiles}
    ground = scenes = 0.0
    for receipt in receipts:
        states = [cell.status for cell in receipt.cells]
        if receipt.composites or "masked" in states or "unreadable" in states:
            ground += sizes[receipt.tile]
        scenes += sizes[receipt.tile] * states.count("masked")
    return ground, scenes


def _square_km(tile: Tile) -> float:
    edges = tile.geobox.resolution
    return math.prod(tile.geobox.shape) * abs(edges.x * edges.y) / 1e6


# -- money -------------------------------------------------------------------------------------


def bill(
    prices: Prices | None,
    cost: Cost,
    ground: tuple[float, float],
    bytes_stored: int | None = None,
) -> Bill | None:
    """Multiply quantities by prices.

    Parameters
    ----------
    prices
        None: nothing is billed.
    cost
        Of the whole run. A quantity that could not be counted has no amount.
    ground
        km² and km² × scenes, as `areas` gives them.
    bytes_stored
        Of the whole store; none: not known.
    """
    if prices is None:
        return None
    quantities = {
        "cpu": (prices.cpu_hour, cost.cpu_seconds / HOUR_S),
        "gpu": (prices.gpu_hour, cost.device_seconds / HOUR_S),
        "read": (prices.gb_read, _share(cost.bytes_fetched, GB)),
        "requests": (prices.thousand_requests, _share(cost.requests, 1000)),
    }
    parts = {
        name: price * quantity
        for name, (price, quantity) in quantities.items()
        if price is not None and quantity is not None
    }
    stored = _share(bytes_stored, GB)
    total = sum(parts.values())
    per_km2, per_scene_km2 = (1000 * total / each if each else None for each in ground)
    return Bill(
        currency=prices.currency,
        parts=parts,
        total=total,
        per_1000_km2=per_km2,
        per_1000_scene_km2=per_scene_km2,
        stored_a_month=None
        if prices.gb_month_stored is None or stored is None
        else prices.gb_month_stored * stored,
    )


def _share(quantity: float | None, of: float) -> float | None:
    return None if quantity is None else quantity / of
