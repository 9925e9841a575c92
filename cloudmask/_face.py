"""The functions of `cloudmask`: each calls the room that does the work."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from shapely.geometry.base import BaseGeometry

import pipeline.run
from pipeline import config, models, query, store
from pipeline.errors import ConfigError, QueryError
from pipeline.notebook import Archive, Composites, Masks, Series
from pipeline.notebook.datasets import shown_as
from pipeline.query import export
from pipeline.run.arrays import mask_array
from pipeline.run.why import Why
from pipeline.run.why import screened as judged
from pipeline.run.why import why as explain
from pipeline.types import Job, Model, Period, Record

__all__ = [
    "Archive",
    "Job",
    "Record",
    "Series",
    "__version__",
    "clear_sky",
    "composite",
    "export",
    "load_job",
    "load_model",
    "mask_array",
    "masks",
    "open",
    "plan",
    "run",
    "why",
]

__version__ = version("cloudmask")

Area = BaseGeometry | str | Sequence[float] | Mapping[str, Any]
"""A shapely geometry in longitude and latitude; west, south, east, north; GeoJSON; WKT; or the path of a
vector file."""


def open(url: str | Path, as_of: str | None = None) -> Archive:
    """Open a store for reading.

    Parameters
    ----------
    url
        Path or URL of the store.
    as_of
        Id of a snapshot, or an instant: the state of the store to read. None: the newest.

    Raises
    ------
    StoreError
        There is no store, or it cannot be read.
    """
    try:
        place = config.store_url(str(url), Path.cwd())
    except ValueError as error:
        raise ConfigError(f"cloudmask.open: expected {error}") from None
    return store.open_as(Archive, place, as_of=as_of)


def load_job(job: str | Path | Mapping[str, Any]) -> Job:
    """Read a job file, or a mapping of the same keys.

    Raises
    ------
    ConfigError
        The job has mistakes; the message has one line for each: the key, the value found, the values expected.
    """
    if isinstance(job, Mapping):
        return config.parse_job(job, base=Path.cwd())
    return config.load_job(Path(job))


def plan(job: Job | str | Path | Mapping[str, Any]) -> pipeline.run.Plan:
    """Plan a run: what it would read, mask and compose; nothing is written."""
    return pipeline.run.plan_job(job if isinstance(job, Job) else load_job(job))


def run(
    job: Job | str | Path | Mapping[str, Any], progress: pipeline.run.Progress | None = None
) -> Record:
    """Bring a job's store up to date; see `pipeline.run.run`."""
    return pipeline.run.run(job if isinstance(job, Job) else load_job(job), progress)


def clear_sky(
    archive: store.Archive | str | Path,
    aoi: Area | None = None,
    datetime: Period | str | None = None,
    sensors: Collection[str] | None = None,
    *,
    screened: bool | str = False,
) -> Series:
    """Return how clear an area was, scene by scene, and for which dates the archive has no information.

    Parameters
    ----------
    archive
        An open archive, or its path or URL.
    aoi
        See `Area`; None: the whole region.
    datetime
        ``2023-06-01/2023-08-31``, ``2023-06`` or ``2023``, UTC; None: all.
    sensors
        Only these; None: all.
    screened
        Whether to say also what evidence from time puts aside, as the archive's only composite uses it, or the one of
        this name; the rasters are read. See `pipeline.run.why.screened`.

    Raises
    ------
    QueryError
        The area lies outside of the region, or a sensor is not in the archive; or see `pipeline.run.why.screened`.
    """
    opened, area = _opened(archive), _area(aoi)
    stored = {each: opened.stored_masks(each) for each in _sensors(opened, sensors)}
    series = query.clear_sky(stored, area, _period(datetime))
    if screened:
        name = screened if isinstance(screened, str) else None
        series = judged(opened, series, area, name)
    return Series.of(series)


def masks(
    archive: store.Archive | str | Path,
    aoi: Area | None = None,
    datetime: Period | str | None = None,
    sensors: Collection[str] | None = None,
) -> Masks:
    """Return the masks of an area, all sensors on one time axis; arguments as of `clear_sky`."""
    opened = _opened(archive)
    found = {each: opened.masks(each) for each in _sensors(opened, sensors)}
    return shown_as(Masks, query.select_masks(found, _area(aoi), _period(datetime)))


def composite(
    archive: store.Archive | str | Path,
    name: str,
    datetime: Period | str | None = None,
    aoi: Area | None = None,
    bands: Sequence[str] | None = None,
) -> Composites:
    """Return a composite: one float32 variable a band, and ``count``, ``day``, ``source``.

    Parameters
    ----------
    archive
        An open archive, or its path or URL.
    name
        Name of the composite, e.g. ``monthly``.
    datetime
        Selects the periods that begin inside. The result has dims (y, x) if that is exactly one period, otherwise
        (time, y, x). None: all periods, (time, y, x).
    aoi
        See `Area`: the result is cropped to it, and pixels outside it are no data. None: the whole region, lazy.
    bands
        Only these, e.g. ``["red", "green", "blue"]``; None: all.

    Raises
    ------
    StoreError
        The archive has no such composite.
    QueryError
        None of its periods begins in `datetime`, it has no such band, or the area lies outside of the region.
    """
    made = _opened(archive).composite(name)
    selected = query.select_composite(made, _area(aoi), _period(datetime), bands)
    return shown_as(Composites, selected)


def why(
    archive: store.Archive | str | Path,
    lonlat: tuple[float, float],
    datetime: Period | str | None = None,
    name: str | None = None,
) -> Why:
    """Explain one pixel of a composite: every observation of it, and why it was or was not taken.

    Parameters
    ----------
    archive
        An open archive, or its path or URL.
    lonlat
        Longitude and latitude in degrees.
    datetime
        The composite's period that begins in it, or else the one that it begins in, e.g. ``2023-06``. None: its only one.
    name
        Of the composite; None: the archive's only one.

    Raises
    ------
    QueryError, StoreError
        See `pipeline.run.why.why`.
    """
    return explain(_opened(archive), lonlat, _period(datetime), name)


def load_model(
    name: str,
    *,
    level: str = "L2A",
    roles: Collection[str],
    options: Mapping[str, Any] | None = None,
) -> Model:
    """Load a model by name, for `mask_array`; see `pipeline.models.resolve` and `load`."""
    return models.load(models.resolve(name, level=level, roles=roles, options=options))


def _sensors(archive: store.Archive, wanted: Collection[str] | None) -> list[str]:
    if unknown := sorted(set(wanted or ()) - set(archive.sensors)):
        raise QueryError(
            f"the archive has no masks of {', '.join(unknown)}; it has {', '.join(archive.sensors) or 'none'}"
        )
    return [each for each in archive.sensors if not wanted or each in wanted]


def _opened(archive: store.Archive | str | Path) -> store.Archive:
    return archive if isinstance(archive, store.Archive) else open(archive)


def _area(aoi: Area | None) -> BaseGeometry | None:
    if aoi is None or isinstance(aoi, BaseGeometry):
        return aoi
    try:
        return config.read_aoi(list(aoi) if isinstance(aoi, tuple) else aoi, Path.cwd())
    except ValueError as error:
        raise ConfigError(f"aoi: expected {config.AOI_FORMS}; but {error}") from None


def _period(datetime: Period | str | None) -> Period | None:
    if not isinstance(datetime, str):
        return datetime
    try:
        return config.read_period(datetime)
    except ValueError as error:
        raise ConfigError(f"datetime: expected {config.PERIOD_FORMS}; but {error}") from None
