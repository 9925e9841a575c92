"""How many items state no angles, of those that a composite's method or its BRDF normalisation asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pystac

from pipeline import sensors
from pipeline.errors import RadiometryError
from pipeline.run.common.method import method_of, takes
from pipeline.run.plan.plan import Plan
from pipeline.sensors import Adjust
from pipeline.types import CompositeSettings
from pipeline.wording import counted


def lacking_angles(plan: Plan) -> list[str]:
    """Return a line for each composite that asks for angles which some of its items do not state."""
    found = (each for view in plan.views for each in view.job.composed)
    return [line for settings in found for line in _lines(plan, settings)]


def _lines(plan: Plan, settings: CompositeSettings) -> Iterator[str]:
    kept = _taken(settings, plan.items.items)
    if "view_deg" in method_of(settings).needs:
        without = sum(
            sensors.view_zenith(item, sensors.profile(item).family) is None for item in kept
        )
        if without:
            yield (
                f"composite {settings.name}: {without} of {counted(len(kept), 'item')} state no view angle, "
                "and score 0 for it"
            )
    if settings.brdf is not None:
        adjust, dropped = Adjust(brdf=settings.brdf), _taken(settings, plan.items.missed)
        without = sum(adjust.lacking(item) is not None for item in dropped)
        if without:
            yield (
                f"composite {settings.name}: {without} of {counted(len(kept) + len(dropped), 'item')} lack the view "
                "or sun angles that composite.brdf needs, and are dropped"
            )


def _taken(settings: CompositeSettings, items: Sequence[pystac.Item]) -> list[pystac.Item]:
    return [item for item in items if takes(settings, _sensor(item))]


def _sensor(item: pystac.Item) -> str:
    try:
        return sensors.profile(item).sensor
    except RadiometryError:
        # It was dropped for that.
        return ""
