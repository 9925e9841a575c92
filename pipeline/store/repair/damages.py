"""What can be damaged in a store, and what mends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Mend = Literal["again", "overview", "histogram", "georeference", "times", "state", "none"]
"""How a damage is mended. ``again``: the next run makes the cells again; ``overview`` to ``times``: computed from
other arrays; ``state``: by going back to an earlier state; ``none``: not at all, where only the history is
damaged."""

Progress = Callable[[int, int], None]
"""Called with the number of cells that are read, and of all cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One damaged thing."""

    path: str
    """Of the array; or ``snapshots/ID``."""
    reason: str
    mend: Mend
    chunk: tuple[int, ...] | None = None
    time: datetime | None = None
    """Of the scene, or the start of the period."""
    cell: tuple[int, int, int] | None = None
    """Position of the cell (time, tile_y, tile_x)."""

    @property
    def tile(self) -> str:
        """Name of the tile."""
        return "" if self.cell is None else f"r{self.cell[1]:03d}c{self.cell[2]:03d}"

    @property
    def group(self) -> str:
        """Name of its group, e.g. ``masks/sentinel-2``, also for what lies deeper."""
        return "/".join(self.path.split("/")[:2])


MENDS: dict[Mend, str] = {
    "again": "--repair, then run: made again",
    "overview": "--repair",
    "histogram": "--repair",
    "georeference": "--repair",
    "times": "--repair",
    "state": "an earlier state",
    "none": "nothing: an older state",
}


def damage_texts(damage: Damage) -> dict[str, str]:
    """Return a damage as texts, for a table or JSON."""
    return {
        "array": damage.path,
        "chunk": "" if damage.chunk is None else "/".join(map(str, damage.chunk)),
        "time": "" if damage.time is None else f"{damage.time:%Y-%m-%dT%H:%M:%SZ}",
        "tile": damage.tile,
        "damage": damage.reason,
        "mended by": MENDS[damage.mend],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found in a store."""

    snapshot: str
    """The state that was read."""
    damages: tuple[Damage, ...]
    cells: int
    """How many cells were read."""
    earlier: str = ""
    """An earlier state without damage, where this one is lost; empty: none is needed, or there is none."""
    repaired: str = ""
    """The mended state that readers see now; empty: nothing was mended."""
    cleaned: tuple[str, ...] = ()
    """What else was done."""

    @property
    def lost(self) -> bool:
        """Whether the state itself cannot be mended in place."""
        return any(each.mend == "state" for each in self.damages)
