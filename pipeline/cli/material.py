"""Collects data of a store for commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.cli.given import read_store
from pipeline.errors import ConfigError, QueryError

if TYPE_CHECKING:
    import xarray as xr

    from pipeline.evaluate import Accuracy
    from pipeline.store import Archive
    from pipeline.types import Job, Series, StoredMasks

T = TypeVar("T", bound="xr.Dataset | None")


def open_store(store: str, as_of: str | None = None) -> Archive:
    """Open the archive that an argument names."""
    from pipeline.store import open_archive

    return open_archive(read_store(store, "STORE"), as_of=as_of)


def sensors_of(archive: Archive, wanted: Sequence[str] | None = None) -> Sequence[str]:
    """Return the wanted sensors, or all; refuse those that are not in the archive."""
    if unknown := sorted(set(wanted or ()) - set(archive.sensors)):
        raise QueryError(
            f"--sensor: found {', '.join(unknown)}, expected {' | '.join(archive.sensors)}"
        )
    return wanted or archive.sensors


def masks_of(archive: Archive, wanted: Sequence[str] | None = None) -> dict[str, xr.Dataset]:
    """Return the masks of some sensors, or of all."""
    return {sensor: archive.masks(sensor) for sensor in sensors_of(archive, wanted)}


def stored_masks_of(
    archive: Archive, wanted: Sequence[str] | None = None
) -> dict[str, StoredMasks]:
    """Return the stored masks of some sensors, or of all, as input of statistics."""
    return {sensor: archive.stored_masks(sensor) for sensor in sensors_of(archive, wanted)}


def composites_of(archive: Archive) -> dict[str, xr.Dataset]:
    """Return all composites, each with the coordinate ``period_end``."""
    found = {name: archive.composite(name) for name in archive.composite_names}
    return {
        name: each.assign_coords(period_end=("time", each["time_bnds"].to_numpy()[:, 1]))
        for name, each in found.items()
    }


def measure(archive: Archive, truth: Path) -> Accuracy:
    """Compare all masks and composites of an archive with the truth; the scenes' rasters are read again."""
    from pipeline.evaluate import BANDS, against_truth
    from pipeline.run import observations

    if not truth.exists():
        raise ConfigError(f"--truth: there is no {truth}")
    return against_truth(
        masks_of(archive), composites_of(archive), truth, observations(archive, BANDS)
    )


def write_report(
    archive: Archive,
    path: Path,
    *,
    job: Job | None = None,
    accuracy: Accuracy | None = None,
    next_commands: Sequence[str] = (),
) -> Path:
    """Write the report of the latest run of an archive, or of a job's latest run.

    Raises
    ------
    QueryError
        The archive has no record of a run.
    """
    from pipeline.config import dump_job
    from pipeline.report import Material
    from pipeline.report import write_report as write

    record = _latest(archive, job)
    if record is None:
        raise QueryError(f"{archive.url} has no record of a run: run `cloudmask run` first")
    masks = masks_of(archive)
    series = _series(stored_masks_of(archive), job)
    material = Material(
        record=record,
        series=series,
        example=_cropped(_example(archive, series), job),
        composites={name: _cropped(each, job) for name, each in composites_of(archive).items()},
        masks={sensor: _cropped(each, job) for sensor, each in masks.items()},
        accuracy=None if accuracy is None else accuracy.to_dict(),
        job={} if job is None else dump_job(job),
        next_commands=tuple(next_commands),
    )
    return write(path, material)


def lacks_report(archive: Archive, path: Path, job: Job) -> bool:
    """Return whether the report of a job's latest run is missing, as when the run was killed before it wrote one."""
    from pipeline.report import run_of

    record = _latest(archive, job)
    return record is not None and record["job"] == job.name and run_of(path) != record["run_id"]


def _latest(archive: Archive, job: Job | None) -> dict[str, Any] | None:
    """Return the record of the job's latest run in the archive; without a job, or any such run, of the latest run."""
    records = archive.records()
    own = [each for each in records if job is not None and each["job"] == job.name]
    if not records:
        return None
    found = (own or records)[-1]
    # A record cannot contain the id of its own snapshot; after the first, only runs publish.
    return found | {"snapshot": archive.snapshot} if found is records[-1] else found


def _example(archive: Archive, series: Series) -> xr.Dataset | None:
    """Open a scene that illustrates masking well; None if its files are missing or cannot be opened."""
    from pipeline.errors import AssetError
    from pipeline.report import choose_example
    from pipeline.run import observations
    from pipeline.run.common.threads import IN_THREADS
    from pipeline.types import Period

    chosen = choose_example(series)
    if chosen is None:
        return None
    instant = Period(start=chosen.time, end=chosen.time + timedelta(microseconds=1))
    try:
        # Signed links open only during their run, because the store keeps no signatures.
        cube = observations(archive, ("red", "green", "blue"))(instant, archive.grid.geobox)
        (position,) = (cube["sensor"] == chosen.sensor).to_numpy().nonzero()[0]
        return cube.isel(time=int(position)).compute(scheduler=IN_THREADS)
    except AssetError:
        return None


def _cropped(dataset: T, job: Job | None) -> T:
    """Crop a dataset to the job's area; the region is larger, rounded to whole chunks."""
    from odc.geo.geom import Geometry

    if job is None or dataset is None:
        return dataset
    cropped: T = dataset.odc.crop(Geometry(job.aoi, "EPSG:4326"), apply_mask=False)
    return cropped


def _series(masks: Mapping[str, StoredMasks], job: Job | None) -> Series:
    """Return the statistics of the job's area and dates, or of all that the archive has."""
    from pipeline.query import clear_sky
    from pipeline.types import Period, Series

    if job is not None:
        return clear_sky(masks, job.aoi, job.period)
    times = [scene.time for each in masks.values() for scene in each.scenes]
    if not times:
        return Series(scenes=())
    period = Period(start=min(times), end=max(times) + timedelta(seconds=1))
    return clear_sky(masks, None, period)
