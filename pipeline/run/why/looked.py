"""The observations of one pixel, read again as runs read them, and composed by the same code."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dask
import numpy as np
import shapely
import xarray as xr
from numpy.typing import NDArray

from pipeline import composite
from pipeline.cube.metadata.roles import outlines_in
from pipeline.errors import AccessError, AssetError
from pipeline.run.common.method import evidence_of
from pipeline.run.common.threads import IN_THREADS
from pipeline.run.tile.composing import Composing
from pipeline.run.tile.drop_unreadable import Losses
from pipeline.run.tile.observed import CellsOf, Observed, cells_made
from pipeline.run.tile.task import TileTask
from pipeline.run.why.asked import Asked
from pipeline.run.why.stored import PublishedCells
from pipeline.types import (
    NEVER,
    Dropped,
    Scene,
)

DOUBTS = {composite.BRIGHT: "cloud", composite.DARK: "shadow"}


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """What was read of the pixel: arrays of (time, 1, 1)."""

    seen: Observed
    screened: xr.Dataset | None
    composed: xr.Dataset
    """(1, 1), ``source`` as a position in the task's items."""
    alone: Mapping[Scene, float]
    """Scene of the period -> what the method scores it by itself."""

    def doubt(self, scene: Scene) -> str | None:
        """Say that a second opinion calls a scene cloud or shadow; None: it does not, or none is asked."""
        parts = [(self.seen.scenes, self.seen.judged)]
        if self.seen.past is not None:
            parts.append((self.seen.around, self.seen.past[1]))
        said = {
            DOUBTS.get(int(judged[at, 0, 0]))
            for scenes, judged in parts
            for at, each in enumerate(scenes)
            if (each.sensor, each.time) == (scene.sensor, scene.time)
        }
        kind = next(filter(None, said), None)
        if kind is None or self.seen.screen is None:
            return None
        mask = self.seen.screen.second_opinion
        return f"its {mask} calls it {kind}, and the dates beside it do not confirm ground"


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What the store knows of the pixel and, where they could be read, its observations."""

    composing: Composing
    cells: CellsOf
    codes: Mapping[Scene, int]
    """Scene -> code of its mask."""
    usable: Mapping[Scene, bool]
    composed: Mapping[Scene, bool]
    """Scene of the period with an item that can be read -> whether it is among the clearest, of `max_observations`."""
    covering: Mapping[Scene, Sequence[int]]
    """Scene -> positions of those of its items whose outline holds the pixel, in mosaic order."""
    pixels: Pixels | None
    dropped: Sequence[Dropped]
    """Items that could not be read now."""
    failure: str | None
    """Why `pixels` are not known; none: they are, or there is nothing to read."""
    never: bool
    """Whether no run composed the period in this tile."""
    as_made: bool
    """Whether the stored cell has the fingerprint of these masks, items and settings."""


def look(asked: Asked) -> Looked:
    """Read a pixel's masks from the store, and its observations from the items' rasters."""
    store = PublishedCells(asked.archive)
    task = asked.task(asked.block, store, asked.scenes([asked.tile]), 0)
    losses = Losses(task, "composite")
    composing = Composing.of(task, asked.settings, store, losses)
    cells = composing.cells(asked.period, cells_made(task, ()))
    usable, used = composing.usable(cells), composing.used(cells)
    pixels, failure = None, None
    try:
        pixels = losses.without_unreadable(used, lambda: _read(asked, composing, usable, used))
    except (AssetError, AccessError) as error:
        failure = str(error)
    if pixels is None and losses.dropped:
        failure = _first(losses)
    y, x = asked.within
    ground = composing.ground(asked.period, usable, used)
    scenes = [scene for scene, _ in cells.read]
    stored = store.composite_fingerprint(asked.settings.name, asked.period.start, asked.tile)
    as_made = stored == composing.fingerprint(cells, {} if pixels is None else used)
    if losses.dropped and not as_made:
        # The composite had what cannot be read any more: without it another pixel would be told.
        pixels, failure = None, _first(losses)
        as_made = stored == composing.fingerprint(cells, {})
    return Looked(
        composing=composing,
        cells=cells,
        codes={
            scene: int(store.read_mask(scene.sensor, [scene.time], task.tile)[0, y, x])
            for scene in scenes
        },
        usable={scene: bool(usable[scene][y, x]) for scene in scenes},
        composed={scene: bool(shown[y, x]) for scene, shown in ground.composed.items()},
        covering=_covering(asked, task, scenes),
        pixels=pixels,
        dropped=losses.dropped,
        failure=failure,
        never=stored == NEVER,
        as_made=as_made,
    )


def _first(losses: Losses) -> str:
    return f"{losses.dropped[0].item_id}: {losses.dropped[0].reason}"


def _read(
    asked: Asked,
    composing: Composing,
    usable: Mapping[Scene, NDArray[np.bool_]],
    used: Mapping[Scene, Sequence[int]],
) -> Pixels | None:
    """Read and compose; None if no scene of the period has an item that can be read."""
    ground = composing.ground(asked.period, usable, used)
    if not ground.composed:
        return None
    y, x = asked.within
    here = {"y": slice(y, y + 1), "x": slice(x, x + 1)}
    wanted = np.zeros(asked.block.geobox.shape, np.bool_)
    wanted[y, x] = True
    beside = composing.beside(list(ground.composed))
    whole = composing.observed(ground, used, beside, wanted)
    past = None if whole.past is None else tuple(each.isel(here) for each in whole.past)
    known = whole.beside.isel(here, missing_dims="ignore")
    cube, judged, around, known = dask.compute(
        whole.cube.isel(here), whole.judged.isel(here), past, known, scheduler=IN_THREADS
    )
    seen = dataclasses.replace(
        whole,
        cube=cube,
        shown=whole.shown.isel(here),
        judged=judged,
        past=around,
        beside=known,
    )
    screened = seen.screened()
    return Pixels(
        seen=seen,
        screened=screened,
        composed=composing.composed(asked.period, seen, screened),
        alone=_alone(asked, composing, seen),
    )


def _alone(asked: Asked, composing: Composing, seen: Observed) -> dict[Scene, float]:
    if "score" not in composing.method.layers:
        return {}
    scores = {}
    for at, scene in enumerate(seen.scenes):
        one = seen.cube.isel(time=[at])
        beside = seen.beside.isel(time=[at], missing_dims="ignore")
        evidence = evidence_of(composing.method, asked.period, [scene], beside)
        made = composite.compose(
            one, xr.ones_like(one["source"], bool), composing.method, evidence
        )
        if made["count"].item():
            scores[scene] = float(made["score"].item())
    return scores


def _covering(
    asked: Asked, task: TileTask, scenes: Sequence[Scene]
) -> dict[Scene, tuple[int, ...]]:
    y, x = asked.within
    here = shapely.Point(*(asked.block.geobox.transform * (x + 0.5, y + 0.5)))
    outlines = outlines_in(task.items.items, str(asked.block.geobox.crs))
    return {
        scene: tuple(p for p in scene.items if (o := outlines[p]) is None or o.covers(here))
        for scene in scenes
    }
