"""The catalogue that a job asks for, brought up to date after each of its runs."""

from __future__ import annotations

from pipeline import store
from pipeline.publish.catalogue import Published, publish
from pipeline.publish.folder import is_current
from pipeline.types import Job


def follow(job: Job) -> Published | None:
    """Bring the catalogue of a job up to date with what its store has published.

    A catalogue that an earlier run could not write is written now, even when nothing is new.

    Returns
    -------
    None: the job asks for no catalogue, or it is up to date.

    Raises
    ------
    CloudmaskError
        As of `publish`; the store is published all the same.
    """
    wanted = job.stac
    if wanted is None:
        return None
    archive = store.open_archive(job.store)
    if is_current(wanted.folder, archive.snapshot, cogs=wanted.cogs):
        return None
    return publish(archive, wanted.folder, cogs=wanted.cogs)
