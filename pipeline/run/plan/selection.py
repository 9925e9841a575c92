"""Which items a plan uses, and which model masks them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

import pystac
from shapely.geometry import mapping

from pipeline import cube, models, sensors
from pipeline.cube.metadata.header import located, why_not
from pipeline.cube.metadata.outlines import LONLAT, outlines
from pipeline.cube.metadata.roles import all_misplaced, frame, misplaced
from pipeline.errors import CloudmaskError, ConfigError, EmptySearchError, ModelError
from pipeline.run.common.postprocess import roles_needed
from pipeline.types import Dropped, Items, Job, ModelCard, footprint
from pipeline.wording import counted

OFFERED_SHARE = 0.5
"""A role counts as offered by a sensor when this share of its items has it: one item without a
band is dropped, and does not choose a weaker model for all the others."""


def choose_models(job: Job, items: Items) -> dict[str, ModelCard]:
    """Choose the model of each sensor from what its items offer.

    Raises
    ------
    ConfigError
        Items of one sensor are of several levels or products.
    ModelError
        No model suits, the grid's pixels are not its, or its weights are not on this machine.
    """
    by_sensor: dict[str, list[pystac.Item]] = {}
    for item in items:
        by_sensor.setdefault(sensors.profile(item).sensor, []).append(item)
    cards = {}
    for sensor, members in by_sensor.items():
        _require_one_product(sensor, members)
        card = models.resolve(
            job.mask.model,
            level=sensors.profile(members[0]).level,
            roles=_offered(members),
            options=job.mask.options,
        )
        finest, coarsest = card.resolution_m
        if not finest <= job.grid.resolution_m <= coarsest:
            raise ModelError(
                f"model {card.name} is meant for pixels of {finest:g} to {coarsest:g} m, "
                f"grid.resolution_m is {job.grid.resolution_m:g}"
            )
        models.check(card)
        cards[sensor] = card
    return cards


def _offered(items: Sequence[pystac.Item]) -> list[str]:
    counter = Counter(role for item in items for role in cube.asset_keys(item))
    return [role for role, count in counter.items() if count >= OFFERED_SHARE * len(items)]


def _require_one_product(sensor: str, items: Sequence[pystac.Item]) -> None:
    """Refuse to mix levels, or surface reflectances that are corrected for different things."""
    levels = {sensors.profile(item).level for item in items}
    if len(levels) > 1:
        raise ConfigError(
            f"sources: {sensor} items of levels {' and '.join(sorted(levels))} cannot be "
            "mosaicked; name collections of one level"
        )
    collections: dict[str, set[str]] = {}
    for item in items:
        name = item.collection_id or str(item.properties.get("odc:product", "no collection"))
        collections.setdefault(_product(item), set()).add(name)
    if len(collections) > 1:
        named = "; ".join(
            f"{product}: {', '.join(sorted(names))}"
            for product, names in sorted(collections.items())
        )
        raise ConfigError(
            f"sources: {sensor} items of different products cannot be mosaicked, because the same "
            f"ground has another reflectance in each ({named}); name collections of one product"
        )


CORRECTIONS: Mapping[str, str] = {"nbart": "NBART", "hls": "HLS"}
"""How a product is corrected, where not for the atmosphere alone: ESA's and USGS's stand together."""


def _product(item: pystac.Item) -> str:
    """Return what a surface reflectance is corrected for."""
    return CORRECTIONS.get(sensors.profile(item).correction, "surface reflectance")


def with_roles(job: Job, items: Items, cards: Mapping[str, ModelCard]) -> Items:
    """Drop the items that lack a band which the model or the composite needs.

    Raises
    ------
    EmptySearchError
        None is left.
    """
    bands = job.composite.bands if job.composite is not None else ()
    needed = {
        sensor: [*roles_needed(job.mask, card.roles), *bands] for sensor, card in cards.items()
    }
    reasons = [_lacking(item, needed[sensors.profile(item).sensor]) for item in items]
    return _without(items, reasons)


def _lacking(item: pystac.Item, needed: Sequence[str]) -> str | None:
    """Say what an item lacks of what is needed; none: nothing."""
    missing = sorted(set(cube.missing_roles(item, needed)))
    if not missing:
        return None
    refused = sensors.profile(item).refused(item)
    said = dict.fromkeys(refused[role] for role in missing if role in refused)
    return "; ".join([f"it has no asset for {', '.join(missing)}", *said])


def placed(job: Job, items: Items) -> Items:
    """Learn where rasters lie whose items do not say it, or say it wrongly; drop the others.

    Items that say nowhere where they lie are kept if their rasters lie in the AOI.

    Raises
    ------
    AssetUnavailableError, AccessUnavailableError
        None is left, and a header cannot be read for now.
    EmptySearchError
        None is left.
    """
    frames = [frame(item) for item in items]
    doubts = [
        sensors.two_codes(item) or doubt
        for item, doubt in zip(items, all_misplaced(items.items, frames), strict=True)
    ]
    asked = [p for p, each in enumerate(frames) if each is None or doubts[p] is not None]
    known = list(items)
    reasons: list[str | None] = [None] * len(known)
    for position, answer in zip(
        asked, located([known[p] for p in asked], job.cube), strict=True
    ):
        if isinstance(answer, pystac.Item):
            known[position] = answer
            reasons[position] = misplaced(answer)
            continue
        if isinstance(answer, CloudmaskError) and len(asked) == len(known):
            # As a rule the host of all of them: it is worth another try.
            raise answer
        said = doubts[position] or "it does not say where its rasters lie"
        why = answer if isinstance(answer, str) else why_not(answer)
        reasons[position] = f"{said}, and {why}"
    found = _without(dataclasses.replace(items, items=tuple(known)), reasons)
    return _inside(job, found)


def _inside(job: Job, items: Items) -> Items:
    """Leave out items without geometry whose rasters lie elsewhere: they are none of this job's."""
    kept = []
    for item in items:
        place = frame(item) if footprint(item) is None else None
        if place is not None:
            outline = outlines([place], LONLAT)[0]
            if not job.aoi.intersects(outline):
                continue
            item.geometry, item.bbox = mapping(outline), list(outline.bounds)
        kept.append(item)
    if not kept:
        raise EmptySearchError(
            f"none of the {len(items)} items lies in the AOI: their rasters lie elsewhere"
        )
    return dataclasses.replace(items, items=tuple(kept))


def _without(items: Items, reasons: Sequence[str | None]) -> Items:
    """Drop the items that have a reason; they belong to the job and are missed."""
    pairs = list(zip(items, reasons, strict=True))
    dropped = [Dropped(item_id=item.id, reason=why) for item, why in pairs if why is not None]
    kept = tuple(item for item, why in pairs if why is None)
    if not kept:
        raise EmptySearchError(
            f"none of {counted(len(items), 'item')} can be used: {dropped[0].item_id}: {dropped[0].reason}"
        )
    return Items(
        items=kept,
        dropped=(*items.dropped, *dropped),
        missed=(*items.missed, *(item for item, why in pairs if why is not None)),
    )
