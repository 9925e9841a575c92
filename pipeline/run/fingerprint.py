"""What made a cell's pixels, as one number: equal numbers mean equal pixels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import pystac

from pipeline import sensors
from pipeline.types import PIXEL_VERSION, UNCOVERED, CompositeSettings, ModelCard

_RESERVED = 16


def item_identity(item: pystac.Item) -> list[Any]:
    """Return what tells one processing of one item from another, radiometry included.

    ``updated`` is left out: catalogues touch it without touching a pixel.
    """
    rule = sensors.radiometry(item)
    rank = [str(part) for part in sensors.processing_rank(item)]
    return [item.collection_id, item.id, rank, rule.scale, rule.offset, rule.nodata]


def mask_fingerprint(items: Sequence[pystac.Item], card: ModelCard) -> int:
    """Return the fingerprint of a mask cell that was made of these items by this model."""
    if not items:
        return UNCOVERED
    model = [
        card.name,
        card.version,
        card.weights_sha256,
        card.roles,
        [card.lattice.core_px, card.lattice.halo_px],
        sorted(card.options.items()),
    ]
    return _hashed(["mask", PIXEL_VERSION, model, [item_identity(item) for item in items]])


def composite_fingerprint(
    settings: CompositeSettings, inputs: Sequence[tuple[str, int, Sequence[str]]]
) -> int:
    """Return the fingerprint of a composite cell.

    Parameters
    ----------
    settings
        Method and bands.
    inputs
        For each scene its time, the fingerprint of its mask, and the ids of the items used.
    """
    made_of = [[time, fingerprint, list(items)] for time, fingerprint, items in inputs]
    method = [settings.method, list(settings.bands)]
    return _hashed(["composite", PIXEL_VERSION, method, made_of])


def _hashed(content: object) -> int:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return number if number >= _RESERVED else number + _RESERVED
