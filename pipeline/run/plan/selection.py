"""Which items can be used, and which model masks them."""

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
from pipeline.errors import CloudmaskError, ConfigError, EmptySearchError
from pipeline.run.common.mask_pixels import with_pixels
from pipeline.run.common.method import bands_read, lacking, method_of, takes
from pipeline.run.common.postprocess import roles_needed
from pipeline.types import Dropped, Items, Job, ModelCard, footprint
from pipeline.wording import counted

OFFERED_SHARE = 0.5
"""A sensor offers a role when this share of its items has it: a single item without the band is dropped,
instead of making all others use a weaker model."""


def choose_models(job: Job, items: Items) -> dict[str, ModelCard]:
    """Choose the model of each sensor from what its items offer.

    Raises
    ------
    ConfigError
        Items of one sensor are of several levels or products, or ``mask.resolution_m`` does not fit the grid.
    ModelError
        No model fits the items or the grid's resolution, or its weights are not on this machine.
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
        card = with_pixels(card, job.mask, job.grid.resolution_m)
        models.check(card)
        cards[sensor] = card
    return cards


def _offered(items: Sequence[pystac.Item]) -> list[str]:
    counter = Counter(role for item in items for role in cube.asset_keys(item))
    return [role for role, count in counter.items() if count >= OFFERED_SHARE * len(items)]


def _require_one_product(sensor: str, items: Sequence[pystac.Item]) -> None:
    """Refuse to mix levels, or surface reflectances with different corrections."""
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
"""`Profile.correction` -> name of the product, where more than the atmosphere is corrected for."""


def _product(item: pystac.Item) -> str:
    """Return the kind of surface reflectance that an item has; ESA's and USGS's are one kind."""
    return CORRECTIONS.get(sensors.profile(item).correction, "surface reflectance")


def with_roles(job: Job, items: Items, cards: Mapping[str, ModelCard]) -> Items:
    """Drop items that lack a band which the model or the composite needs, or cannot be adjusted as it wants.

    Raises
    ------
    EmptySearchError
        None is left.
    """
    needed = {}
    for sensor, card in cards.items():
        needed[sensor] = roles_needed(job.mask, card.roles)
    reasons = []
    for item in items:
        bands = [band for each in job.composed for band in bands_read(each, item)]
        roles = [*needed[sensors.profile(item).sensor], *dict.fromkeys(bands)]
        unfit = (lacking(each, item) for each in job.composed)
        reasons.append(_lacking(item, roles) or next(filter(None, unfit), None))
    return _without(items, reasons)


def require_opinions(job: Job, items: Items) -> None:
    """Make sure that items bring the masks along that screening asks for a second opinion.

    Raises
    ------
    ConfigError
        No item of a composite has one.
    """
    for settings in job.composed:
        role = settings.screen and settings.screen.second_opinion
        taken = [each for each in items if takes(settings, sensors.profile(each).sensor)]
        if role and taken and all(cube.missing_roles(each, [role]) for each in taken):
            raise ConfigError(
                f"composite.screen.second_opinion: no item has {role}, the mask of its product; leave it out, or name "
                "another: scl (Sentinel-2 L2A), qa_pixel (Landsat), fmask (HLS), dea_fmask (Digital Earth Australia)"
            )


def require_angles(job: Job, items: Items) -> None:
    """Make sure that items state the view angle that a composite weighs.

    Raises
    ------
    ConfigError
        No item of a composite states one.
    """
    for settings in job.composed:
        if "view_deg" not in method_of(settings).needs:
            continue
        profiles = ((each, sensors.profile(each)) for each in items)
        taken = [(e, p.family) for e, p in profiles if takes(settings, p.sensor)]
        if taken and all(sensors.view_zenith(*each) is None for each in taken):
            raise ConfigError(
                f"composite.method {settings.method}, with these options, weighs the view angle, and no item states "
                "view:incidence_angle (of Landsat, view:off_nadir will do): leave view out of "
                "composite.options.weights, or take a catalogue that states it"
            )


def _lacking(item: pystac.Item, needed: Sequence[str]) -> str | None:
    """Return which needed bands an item lacks, and why; None: it has them all."""
    missing = sorted(set(cube.missing_roles(item, needed)))
    if not missing:
        return None
    refused = sensors.profile(item).refused(item)
    reasons = dict.fromkeys(refused[role] for role in missing if role in refused)
    return "; ".join([f"it has no asset for {', '.join(missing)}", *reasons])


def with_locations(job: Job, items: Items) -> Items:
    """Read headers of items that do not state where their rasters lie, or contradict themselves about it.

    Items whose headers do not settle it are dropped. Items without a geometry are used if their rasters
    lie in the AOI.

    Raises
    ------
    AssetUnavailableError, AccessUnavailableError
        A header cannot be read for now, and every item would be dropped.
    EmptySearchError
        None is left.
    """
    frames = [frame(item) for item in items]
    doubts = [
        sensors.two_codes(item) or doubt
        for item, doubt in zip(items, all_misplaced(items.items, frames), strict=True)
    ]
    unplaced = [p for p, each in enumerate(frames) if each is None or doubts[p] is not None]
    known = list(items)
    reasons: list[str | None] = [None] * len(known)
    for position, answer in zip(
        unplaced, located([known[p] for p in unplaced], job.cube), strict=True
    ):
        if isinstance(answer, pystac.Item):
            known[position] = answer
            reasons[position] = misplaced(answer)
            continue
        if isinstance(answer, CloudmaskError) and len(unplaced) == len(known):
            # Most likely their host is down, which a later try may get past.
            raise answer
        doubt = doubts[position] or "it does not say where its rasters lie"
        why = answer if isinstance(answer, str) else why_not(answer)
        reasons[position] = f"{doubt}, and {why}"
    found = _without(dataclasses.replace(items, items=tuple(known)), reasons)
    return _inside(job, found)


def _inside(job: Job, items: Items) -> Items:
    """Leave out items without geometry whose rasters lie outside of the AOI: they do not count as dropped."""
    inside = []
    for item in items:
        stated = frame(item) if footprint(item) is None else None
        if stated is not None:
            outline = outlines([stated], LONLAT)[0]
            if not job.aoi.intersects(outline):
                continue
            item.geometry, item.bbox = mapping(outline), list(outline.bounds)
        inside.append(item)
    if not inside:
        raise EmptySearchError(
            f"none of the {len(items)} items lies in the AOI: their rasters lie elsewhere"
        )
    return dataclasses.replace(items, items=tuple(inside))


def _without(items: Items, reasons: Sequence[str | None]) -> Items:
    """Drop the items that have a reason; the cells that they would have covered are incomplete."""
    pairs = list(zip(items, reasons, strict=True))
    dropped = [Dropped(item_id=item.id, reason=why) for item, why in pairs if why is not None]
    usable = tuple(item for item, why in pairs if why is None)
    if not usable:
        raise EmptySearchError(
            f"none of {counted(len(items), 'item')} can be used: {dropped[0].item_id}: {dropped[0].reason}"
        )
    return Items(
        items=usable,
        dropped=(*items.dropped, *dropped),
        missed=(*items.missed, *(item for item, why in pairs if why is not None)),
    )
