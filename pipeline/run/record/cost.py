"""How much ground a run worked on, and what the run cost in money."""

from __future__ import annotations

import math
from collections.abc import Iterable

from pipeline.config.settings import Prices
from pipeline.run.plan.plan import Plan
from pipeline.types import Cost, Tile, TileReceipt
from pipeline.types.record import Bill

GB = 1e9
"""Bytes, as clouds bill them."""
HOUR_S = 3600.0


def areas(plan: Plan, receipts: Iterable[TileReceipt]) -> tuple[float, float]:
    """Return the ground worked on in km², and the sum over the scenes masked of their ground.

    Whole tiles in the plane of the grid, including what lies outside of the AOI: that is what was read,
    masked and stored. A tile counts once if any of its scenes was tried or a period composed.
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
        None: there is no bill.
    cost
        Of the whole run. A quantity that could not be counted has no amount.
    ground
        km² and km² × scenes, as `areas` gives them.
    bytes_stored
        Of the whole store; None: not known.
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
