"""What the store has before a run: published cells, their scenes, and items whose radiometry is settled."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pystac
from numpy.typing import NDArray

from pipeline import store
from pipeline.run.common.cells import states_of
from pipeline.run.common.method import layers_of, reach_of
from pipeline.run.common.scenes import KnownScene
from pipeline.types import CompositeSettings, Grid, GuardSettings, Tile


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What is published."""

    scenes: Mapping[str, Sequence[KnownScene]] = field(default_factory=dict)
    masks: Mapping[str, Mapping[datetime, NDArray[np.uint64]]] = field(default_factory=dict)
    composites: Mapping[datetime, NDArray[np.uint64]] = field(default_factory=dict)
    composed: frozenset[str] = frozenset()
    """Sensors that the job's composite has been made of."""
    archive: store.Archive | None = None
    """None: there is no store yet."""

    @classmethod
    def look(cls, archive: store.Archive | None, grid: Grid) -> Stored:
        """Read fingerprints of masks and scenes of an archive; where there is none, nothing is stored.

        Raises
        ------
        StoreError
            The archive is of another grid.
        """
        if archive is None:
            return cls()
        archive.require_grid(grid)
        return cls(
            scenes={sensor: _scenes(archive, sensor) for sensor in archive.sensors},
            masks={sensor: archive.mask_fingerprints(sensor) for sensor in archive.sensors},
            archive=archive,
        )

    def of(self, wanted: CompositeSettings | None) -> Stored:
        """Return the same with the steps of a composite.

        Raises
        ------
        StoreError
            The archive has another composite of the same name.
        """
        archive = self.archive
        if archive is None or wanted is None or wanted.name not in archive.composite_names:
            return self
        archive.require_composite(wanted.name, wanted.bands, made_by(wanted))
        return dataclasses.replace(
            self,
            composites=archive.composite_fingerprints(wanted.name),
            composed=frozenset(archive.composed_of(wanted.name)),
        )

    @staticmethod
    def states(
        stored: NDArray[np.uint64] | None,
        tiles: Sequence[Tile],
        expected: NDArray[np.uint64],
    ) -> NDArray[np.uint8]:
        """Compare tile by tile: positions in `STATES`."""
        if stored is None:
            return states_of(np.zeros(len(tiles), np.uint64), expected)
        rows, cols = ([getattr(tile, name) for tile in tiles] for name in ("row", "col"))
        return states_of(stored[rows, cols], expected)


def _scenes(archive: store.Archive, sensor: str) -> tuple[KnownScene, ...]:
    return tuple(
        KnownScene(time=time, platform=platform, items=tuple(items))
        for time, platform, items in archive.scenes(sensor)
    )


def made_by(settings: CompositeSettings) -> dict[str, Any]:
    """Return the attributes of a composite in the store that tell how its steps are made."""
    layers = list(layers_of(settings))
    # As text: NetCDF has no mappings. What is not there is left out, as in stores of before.
    options, reach_m = json.dumps(settings.options, sort_keys=True), reach_of(settings)
    return {
        "method": settings.method,
        "period": str(settings.period),
        **({"options": options} if settings.options else {}),
        **({"layers": layers} if layers else {}),
        **({"only_sensors": sorted(settings.sensors)} if settings.sensors else {}),
        **({"harmonize": settings.harmonize} if settings.harmonize else {}),
        **({"brdf": settings.brdf} if settings.brdf else {}),
        **({"reach_m": reach_m} if reach_m else {}),
    }


JUDGED_BY = "judged_by"
"""Attribute of a composite in the store: ``screen``, ``guard``, ``min_observations`` and ``max_observations`` of the latest job, as JSON."""


def judged_by(settings: CompositeSettings, guard: GuardSettings | None) -> dict[str, str]:
    """Return the attribute that tells which evidence decides what a composite is made of."""
    sections = {"screen": settings.screen, "guard": guard}
    found: dict[str, Any] = {
        name: each.model_dump() for name, each in sections.items() if each is not None
    }
    if settings.min_observations > 1:
        found["min_observations"] = settings.min_observations
    if settings.max_observations is not None:
        found["max_observations"] = settings.max_observations
    return {JUDGED_BY: json.dumps(found, sort_keys=True)}


def settled_items(archive: store.Archive | None) -> Iterator[pystac.Item]:
    """Yield the items whose radiometry an earlier run has settled by looking at pixels."""
    for document in [] if archive is None else archive.items():
        if "cloudmask:offset" in document.get("properties", {}):
            yield pystac.Item.from_dict(document, migrate=False)
