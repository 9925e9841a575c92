"""Checks of what would stop a run at its start; they write nothing, so that `cloudmask plan` makes them too."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pystac

from pipeline import cube, models, store
from pipeline.config.paths import local_path
from pipeline.errors import AccessError, AssetError, ConfigError, IncompleteError, WorkersError
from pipeline.run.common.method import bands_read
from pipeline.run.common.postprocess import roles_needed
from pipeline.run.plan.plan import Plan
from pipeline.run.record import metrics
from pipeline.sensors import profile
from pipeline.types import Dropped, Job

READERS = 16
"""Headers that are read at once; `pipeline.access` limits the connections to each host."""
ANSWER_S = 5.0
"""How long a scheduler may take to answer."""


def require_ready(plan: Plan) -> None:
    """Raise what a run of a plan would raise before its first tile.

    Raises
    ------
    ConfigError
        A package that a setting needs is missing, or a folder cannot be written.
    ModelError
        There is no GPU for ``device: cuda``, of the model or a composite, or the user's own weights do not fit the model.
    StoreError
        The store's folder cannot be written, or contains something else.
    """
    job = plan.job
    metrics.require_exporter()
    if job.stac is not None:
        _require_folder(Path(job.stac.folder))
    if plan.nothing_to_do:
        return
    store.require_writable(job.store)
    cube.require_loader(job.cube, plan.grid)
    # What devices and packages the workers of a cluster have is not known here.
    if job.run.cluster.kind == "address":
        return
    for each in job.composed:
        models.require_gpu(each.device)
    for card in plan.cards.values():
        models.check_device(card)
        if card.options.get("weights") and "members" not in card.options:
            models.load(card)


def require_scheduler(job: Job) -> None:
    """Check that something answers at the address of a job's cluster.

    Raises
    ------
    WorkersError
        Nothing does.
    """
    settings = job.run.cluster
    parts = urlsplit(settings.address)
    if settings.kind != "address" or parts.scheme not in ("tcp", "tls"):
        return
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 8786), ANSWER_S):
            pass
    except (OSError, ValueError) as error:
        raise no_scheduler(settings.address, error) from None


def no_scheduler(address: str, error: Exception) -> WorkersError:
    """Return the error of a scheduler that does not answer."""
    return WorkersError(
        f"run.cluster.address {address}: no Dask scheduler with a worker answers there "
        f"({error}); start `dask scheduler` and `dask worker {address}`"
    )


def missing_rasters(plan: Plan) -> list[Dropped]:
    """Read the header of every raster that a run would read, a few at once.

    Returns
    -------
    The items that a run would drop, each with the reason of its first asset that cannot be read.
    """
    job = plan.job
    composites = [each for view in plan.views for each in view.job.composed]
    used = {
        position for cell in plan.cells if cell.state != "unchanged" for position in cell.items
    }
    rasters = []
    for position in sorted(used):
        item = plan.items.items[position]
        card = plan.cards[profile(item).sensor]
        bands = [band for each in composites for band in bands_read(each, item)]
        roles = {*roles_needed(job.mask, card.roles), *bands}
        keys = cube.asset_keys(item)
        rasters += [(item, key) for key in sorted({keys[r] for r in roles if r in keys})]
    with ThreadPoolExecutor(READERS) as pool:
        answers = list(pool.map(lambda each: _unreadable(each[0], each[1], job), rasters))
    found: dict[str, Dropped] = {}
    for (item, _), reason in zip(rasters, answers, strict=True):
        if reason is not None:
            found.setdefault(item.id, Dropped(item_id=item.id, reason=reason))
    return list(found.values())


def require_readable(plan: Plan, missing: Sequence[Dropped]) -> None:
    """Raise what a run would raise because of items that cannot be read.

    Raises
    ------
    AssetError
        There is one, and the job's ``cube.unreadable`` is ``fail``.
    IncompleteError
        More cells (scene × tile) would lack an item than the job allows.
    """
    if missing and plan.job.cube.unreadable == "fail":
        first = missing[0]
        raise AssetError(first.item_id, "header", first.reason)
    gone = {each.item_id for each in missing}
    items, covered = plan.items.items, int(plan.cells.covered.sum())
    lost = sum(any(items[p].id in gone for p in cell.items) for cell in plan.cells)
    if covered - lost < plan.job.run.min_completeness * covered:
        raise IncompleteError(
            f"{covered - lost} of {covered} cells (scene × tile) could be read, fewer than "
            f"run.min_completeness {plan.job.run.min_completeness:g} asks for: nothing would be published"
        )


def _unreadable(item: pystac.Item, key: str, job: Job) -> str | None:
    try:
        cube.read_header(item, key, job.cube)
    except AssetError as error:
        return f"asset {error.asset!r} {error.reason}"
    except AccessError as error:
        return f"asset {key!r}: {error}"
    return None


def _require_folder(folder: Path) -> None:
    path = local_path(str(folder))
    assert path is not None
    there = next(each for each in (path, *path.parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"stac.folder: cannot write {path}: {there} is no folder to write to")
