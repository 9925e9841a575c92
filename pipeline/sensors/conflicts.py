"""Whether scale and offset in an item's assets agree with the radiometry that the rules chose."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from pipeline.sensors.metadata import stated_offsets
from pipeline.sensors.profiles import profile
from pipeline.sensors.types import Radiometry
from pipeline.types.roles import THERMAL_ROLES

if TYPE_CHECKING:
    import pystac


def compared(item: pystac.Item, decided: Radiometry) -> Radiometry:
    """Mark a decision as doubtful where scale or offset in the item's assets contradict it."""
    announced = stated_offsets(item, reflectance_keys(item))
    if all(same_numbers(each, decided) for each in announced):
        return decided
    contradiction = " and ".join(
        f"scale {scale:g}, offset {offset:g}" for scale, offset in sorted(announced)
    )
    return dataclasses.replace(
        decided,
        reason=f"{decided.reason}; but its assets announce {contradiction}",
        doubtful=True,
    )


def reflectance_keys(item: pystac.Item) -> list[str]:
    """Return the keys of the assets that hold an item's reflectances."""
    offered = profile(item).offered(item)
    return sorted({key for role, key in offered.items() if role not in THERMAL_ROLES})


def same_numbers(announced: tuple[float, float], decided: Radiometry) -> bool:
    """Say whether an announced (scale, offset) is the decided one."""
    # Catalogues round: 2.75e-05 and 0.0000275 are one number, -0.1 and -0.1000000015 too.
    scale, offset = announced
    return math.isclose(scale, decided.scale, rel_tol=1e-5) and math.isclose(
        offset, decided.offset, abs_tol=1e-6
    )
