"""What the store has before a run: what is published, and what was asked of doubtful items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pystac
from numpy.typing import NDArray

from pipeline import store
from pipeline.run.cells import compare
from pipeline.run.scenes import StoredScene
from pipeline.types import Grid, Job, Tile


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What is published: fingerprints, and what the scenes are of."""

    scenes: Mapping[str, Sequence[StoredScene]]
    masks: Mapping[str, Mapping[datetime, NDArray[np.uint64]]]
    composites: Mapping[datetime, NDArray[np.uint64]]

    @classmethod
    def look(cls, job: Job, drawn: Grid) -> Stored:
        """Look into the store of a job; one that is not there has nothing."""
        archive = store.find_archive(job.store)
        if archive is None:
            return cls(scenes={}, masks={}, composites={})
        archive.require_grid(drawn)
        name = job.composite.name if job.composite else ""
        return cls(
            scenes={sensor: _scenes(archive, sensor) for sensor in archive.sensors},
            masks={sensor: archive.mask_fingerprints(sensor) for sensor in archive.sensors},
            composites=archive.composite_fingerprints(name)
            if name in archive.composite_names
            else {},
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


def settled_before(job: Job) -> Iterator[pystac.Item]:
    """Yield the items whose pixels an earlier run has asked."""
    archive = store.find_archive(job.store)
    for document in [] if archive is None else archive.items():
        if "cloudmask:offset" in document.get("properties", {}):
            yield pystac.Item.from_dict(document, migrate=False)
