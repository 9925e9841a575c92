"""What the store has before a run: what is published, and what was asked of doubtful items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pystac
from numpy.typing import NDArray

from pipeline import store
from pipeline.run.common.cells import compare
from pipeline.run.common.scenes import StoredScene
from pipeline.types import CompositeSettings, Grid, Job, Tile


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What is published: fingerprints, and what the scenes are of."""

    scenes: Mapping[str, Sequence[StoredScene]] = field(default_factory=dict)
    masks: Mapping[str, Mapping[datetime, NDArray[np.uint64]]] = field(default_factory=dict)
    composites: Mapping[datetime, NDArray[np.uint64]] = field(default_factory=dict)
    composed: frozenset[str] = frozenset()
    """Sensors that the job's composite has been made of."""
    archive: store.Archive | None = None
    """None: there is no store yet."""

    @classmethod
    def look(cls, job: Job, drawn: Grid) -> Stored:
        """Look into the store of a job; one that is not there has nothing."""
        archive = store.find_archive(job.store)
        if archive is None:
            return cls()
        archive.require_grid(drawn)
        masks = {sensor: archive.mask_fingerprints(sensor) for sensor in archive.sensors}
        scenes = {sensor: _scenes(archive, sensor) for sensor in archive.sensors}
        wanted = job.composite
        if wanted is None or wanted.name not in archive.composite_names:
            return cls(scenes=scenes, masks=masks, archive=archive)
        archive.require_composite(wanted.name, wanted.bands, made_by(wanted))
        return cls(
            scenes=scenes,
            masks=masks,
            composites=archive.composite_fingerprints(wanted.name),
            composed=frozenset(archive.composed_of(wanted.name)),
            archive=archive,
        )

    @staticmethod
    def states(
        stored: NDArray[np.uint64] | None,
        tiles: Sequence[Tile],
        expected: NDArray[np.uint64],
    ) -> NDArray[np.uint8]:
        """Compare tile by tile: positions in `STATES`."""
        if stored is None:
            return compare(np.zeros(len(tiles), np.uint64), expected)
        rows, cols = ([getattr(tile, name) for tile in tiles] for name in ("row", "col"))
        return compare(stored[rows, cols], expected)


def _scenes(archive: store.Archive, sensor: str) -> tuple[StoredScene, ...]:
    return tuple(
        StoredScene(time=time, platform=platform, items=tuple(items))
        for time, platform, items in archive.scenes(sensor)
    )


def corner_before(job: Job) -> tuple[float, float] | None:
    """Return where corners of pixels lie in the store of a job, none where there is no store."""
    archive = store.find_archive(job.store)
    return None if archive is None else archive.grid.corner


def made_by(settings: CompositeSettings) -> dict[str, str]:
    """Return what a composite says of how its steps are made."""
    return {"method": settings.method, "period": settings.period}


def settled_before(job: Job) -> Iterator[pystac.Item]:
    """Yield the items whose pixels an earlier run has asked."""
    archive = store.find_archive(job.store)
    for document in [] if archive is None else archive.items():
        if "cloudmask:offset" in document.get("properties", {}):
            yield pystac.Item.from_dict(document, migrate=False)
