"""Updates the catalogue of a job after each of its runs."""

from __future__ import annotations

from pipeline import store
from pipeline.publish.catalogue import Published, publish
from pipeline.publish.folder import is_current
from pipeline.types import Job


def follow(job: Job) -> Published | None:
    """Bring the catalogue of a job up to date with the published state of its store.

    A catalogue that an earlier run could not write is written now, even if nothing is new.

    Returns
    -------
    The summary of the catalogue; None if the job has no catalogue, or it is up to date.

    Raises
    ------
    CloudmaskError
        As of `publish`; the store stays published.
    """
    wanted = job.stac
    if wanted is None:
        return None
    archive = store.open_archive(job.store)
    if is_current(wanted.folder, archive.snapshot, cogs=wanted.cogs):
        return None
    return publish(archive, wanted.folder, cogs=wanted.cogs)
