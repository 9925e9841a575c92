"""Fingerprints: a hash of all that made a cell's pixels. Equal fingerprints mean equal pixels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pystac

from pipeline import composite, sensors
from pipeline.sensors.adjust.adjustment import VERSION as ADJUSTED
from pipeline.types import (
    PIXEL_VERSION,
    UNCOVERED,
    CompositeSettings,
    GuardSettings,
    MaskSettings,
    ModelCard,
)

_RESERVED = 16


def item_identity(item: pystac.Item) -> list[Any]:
    """Return what identifies one processing of one item, radiometry included.

    Without ``updated``: catalogues change it when no pixel has changed.
    """
    rule = sensors.radiometry(item)
    rank = [str(part) for part in sensors.processing_rank(item)]
    return [item.collection_id, item.id, rank, rule.scale, rule.offset, rule.nodata]


def mask_fingerprint(
    items: Sequence[pystac.Item], card: ModelCard, settings: MaskSettings
) -> int:
    """Return the fingerprint of a mask cell that was made of these items by this model."""
    texts = [item_text(item, settings) for item in items]
    return mask_fingerprint_of(texts, model_text(card, settings))


def composite_fingerprint(
    settings: CompositeSettings,
    inputs: Sequence[tuple[str, int, Sequence[str]]],
    guard: GuardSettings | None = None,
    history: Sequence[tuple[str, int]] = (),
    around: Sequence[tuple[str, int, Sequence[str]]] = (),
    beyond: Sequence[Sequence[tuple[int, int, int]]] = (),
) -> int:
    """Return the fingerprint of a composite cell.

    Parameters
    ----------
    settings
        Method, its options, and bands.
    inputs
        For each scene its time, the fingerprint of its mask (which stands for its items), and the ids of
        items that could not be read when it was composed.
    guard, history
        Settings of the guard, None without one; and for each scene that the guard counts, its time and
        the fingerprint of its mask.
    around
        As `inputs`, of the scenes before and after the period by which it is screened.
    beyond
        For each of `inputs` the masks around the tile; see `beyond_text`. None, where there are none or none counts.
    """
    return composite_fingerprint_of(
        settings_text(settings, guard),
        [scene_text(*one) for one in inputs],
        [scene_text(*one) for one in history],
        [scene_text(*one) for one in around],
        [beyond_text(one) for one in beyond],
    )


# Many cells of a plan have the same few items, so that the text of an item is made once and joined.


def item_text(item: pystac.Item, settings: MaskSettings) -> str:
    """Return an item's part of a mask's fingerprint."""
    identity = item_identity(item)
    # The sun's position decides no pixel unless shadows are checked against it.
    return _text(identity if settings.shadows is None else [*identity, sensors.sun(item)])


def model_text(card: ModelCard, settings: MaskSettings) -> str:
    """Return the part of a mask's fingerprint that comes from its model and the postprocessing."""
    lattice = card.lattice
    # Left out where they are 0, so that masks of versions without them keep their fingerprint.
    more = [lattice.blend_px, lattice.shift_px] if lattice.blend_px or lattice.shift_px else []
    return _text(
        [
            card.name,
            card.version,
            card.weights_sha256,
            card.roles,
            [lattice.core_px, lattice.halo_px, *more],
            # Not the path of the weights: their hash says which they are.
            sorted((key, value) for key, value in card.options.items() if key != "weights"),
            *([settings.shadows.model_dump()] if settings.shadows else []),
            *(["confidence"] if settings.confidence else []),
            # Left out where it is the grid's, as in masks of versions without it.
            *([["pixel_m", card.pixel_m]] if card.pixel_m else []),
            *(
                [{key: each.model_dump() for key, each in settings.clean.items()}]
                if settings.clean
                else []
            ),
        ]
    )


def mask_fingerprint_of(items: Sequence[str], model: str) -> int:
    """Return a mask cell's fingerprint from the texts of its items and its model."""
    if not items:
        return UNCOVERED
    return _hashed(_listed(['"mask"', _text(PIXEL_VERSION), model, _listed(items)]))


def scene_text(time: str, fingerprint: int, unread: Sequence[str] = ()) -> str:
    """Return a scene's part of a composite's fingerprint.

    Only the day of its time counts, as it does in the pixels: the same scene may be known by another
    instant of that day, depending on which of its items was found first. Whether the job found the scene or
    the store had it makes no difference: the same scenes make the same composite.
    """
    return _text([_day(time), fingerprint, *([list(unread)] if unread else [])])


def beyond_text(masks: Sequence[tuple[int, int, int]]) -> str:
    """Return the part of a composite's fingerprint that masks of a scene in other tiles decide.

    Each has rows and columns from the composite's tile to its own, and its fingerprint; row by row.
    """
    return _text([list(each) for each in masks])


def settings_text(settings: CompositeSettings, guard: GuardSettings | None = None) -> str:
    """Return the part of a composite's fingerprint that comes from its settings."""
    # Left out where there are none, so that composites of versions without them keep their fingerprint.
    guarded = [guard.model_dump()] if guard else []
    options = [["options", settings.options]] if settings.options else []
    screen = settings.screen
    # What its history_days reach is listed scene by scene.
    screened = [["screen", composite.VERSION, screen.min_dates]] if screen else []
    if screen and screen.second_opinion:
        screened.append(["second_opinion", composite.SECOND_OPINION, screen.second_opinion])
    least = [["min_observations", n]] if (n := settings.min_observations) > 1 else []
    if settings.max_observations is not None:
        least.append(["max_observations", composite.CLEAREST, settings.max_observations])
    adjust = settings.harmonize, settings.brdf
    # An item's platform and angles are those of the processing that its mask's fingerprint names.
    adjusted = [["adjust", ADJUSTED, *adjust]] if any(adjust) else []
    more = [*guarded, *options, *screened, *least, *adjusted]
    return _text([settings.method, list(settings.bands), *more])


def composite_fingerprint_of(
    settings: str,
    inputs: Sequence[str],
    history: Sequence[str] = (),
    around: Sequence[str] = (),
    beyond: Sequence[str] = (),
) -> int:
    """Return a composite cell's fingerprint from the texts of its settings and its scenes."""
    parts = ['"composite"', _text(PIXEL_VERSION), settings, _listed(inputs)]
    # Left out where there are none, as in composites of versions without them.
    more = [history, around, beyond]
    while more and not more[-1]:
        more.pop()
    return _hashed(_listed([*parts, *map(_listed, more)]))


def _day(time: str) -> str:
    return time[: len("2023-06-01")]


def _text(content: object) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def _listed(parts: Iterable[str]) -> str:
    return f"[{','.join(parts)}]"


def _hashed(text: str) -> int:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return number if number >= _RESERVED else number + _RESERVED
