"""Job -> inputs of its plan: all that planning reads from catalogues, rasters and the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline import cube, grid, store
from pipeline.cube.metadata.roles import corner_m
from pipeline.errors import ConfigError
from pipeline.run.common.method import reach_of, require_confidence
from pipeline.run.common.scenes import of_period
from pipeline.run.plan.selection import (
    choose_models,
    require_angles,
    require_opinions,
    with_locations,
    with_roles,
)
from pipeline.run.plan.stored_state import Stored, settled_items
from pipeline.search import search
from pipeline.types import Grid, Items, Job, ModelCard

Report = Callable[[str], None]
"""Shows the user a line of text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a plan is made of."""

    items: Items
    """Those that can be used, with radiometry and location settled; and those that were dropped, and why."""
    grid: Grid
    cards: Mapping[str, ModelCard]
    """Sensor -> the model that masks it."""
    stored: Stored
    """Of the job's first composite."""
    others: tuple[Stored, ...] = ()
    """Of its further composites."""


def prepare(job: Job, report: Report = lambda _: None, beyond_m: float = 0.0) -> Inputs:
    """Search the catalogues, settle radiometry and location of items, choose models, and read the store's state.

    Reads overviews of items whose metadata contradict each other about their radiometry, and headers of those that do
    not state where they lie; no other pixel.

    Parameters
    ----------
    job
        The job.
    report
        Called with a line for each catalogue that is searched, and for each retry.
    beyond_m
        As of `pipeline.run.plan.build.plan_job`.

    Raises
    ------
    CloudmaskError
        As `pipeline.errors` says.
    """
    # A grid that cannot be drawn is an error before anything is searched, as is a method that cannot be made.
    grid.make_grid(job)
    _require_methods(job)
    archive = store.find_archive(job.store)
    found = cube.settled(
        search(job, report=report), hosts=job.cube.hosts, known=settled_items(archive)
    )
    drawn = _grid(job, found, archive, around=beyond_m > 0 or _looks_around(job))
    cards = choose_models(job, found)
    known = Stored.look(archive, drawn)
    stored, *others = [known.of(each.composite) for each in job.for_each_composite()]
    require_opinions(job, found)
    require_angles(job, found)
    usable = with_locations(job, with_roles(job, found, cards))
    items = of_period(usable, stored.scenes, job.period)
    return Inputs(items=items, grid=drawn, cards=cards, stored=stored, others=tuple(others))


def _require_methods(job: Job) -> None:
    for settings in job.composed:
        try:
            require_confidence(settings, job.mask)
        except ConfigError as error:
            if not job.composites:
                raise
            raise ConfigError(f"composites, {settings.name}: {error}") from error


def _grid(job: Job, items: Items, archive: store.Archive | None, *, around: bool) -> Grid:
    """Draw the grid; its corners are the job's, else the store's, else those of most items.

    `around`: pixels beyond the AOI are wanted, too.
    """
    stored = None if archive is None else archive.grid
    corner: str | tuple[float, float] = grid.anchor_of({corner_m(item) for item in items})
    usual = grid.make_grid(job, corner if stored is None else stored.corner)
    if around or stored == usual:
        return usual
    field = grid.field_grid(job, usual)
    return stored if stored is not None and _still_holds(stored, field, job) else field


def _looks_around(job: Job) -> bool:
    """Return whether composites need masks beyond the AOI: of what is near by, or of cells that no tile may cut."""
    return job.mask.guard is not None or any(reach_of(each) for each in job.composed)


def _still_holds(stored: Grid, field: Grid, job: Job) -> bool:
    """Return whether a store is one of a field, and has all pixels of the job: its AOI may shrink, or grow a little."""
    alike = all(
        getattr(stored, name) == getattr(field, name)
        for name in ("chunk_px", "resolution_m", "corner")
    )
    small = stored.chunk_px == grid.FIELD_PX and max(stored.geobox.shape) == stored.tile_px
    same_crs = stored.geobox.crs == field.geobox.crs
    return alike and small and same_crs and grid.holds(stored, job.aoi)
