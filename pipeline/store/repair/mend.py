"""Mending a damaged store: derived arrays are computed again, damaged cells are marked as never made.

The next run makes those cells again, as they were: only a run reads imagery.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import icechunk
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore

from pipeline.errors import StoreError
from pipeline.store.base.checksums import Checksums
from pipeline.store.base.location import MAIN, PUBLISHED, RUN, StoreLocation
from pipeline.store.base.translate_errors import explained
from pipeline.store.repair import check, cleaning
from pipeline.store.repair.damages import Damage, Progress, Verified
from pipeline.store.repair.mend_arrays import MendArrays
from pipeline.store.repair.state import State, open_plain_state, open_state
from pipeline.store.versions.branches import drop
from pipeline.wording import counted

REPAIR = "repair-"
"""Prefix of the branch on which a store is mended."""

KEPT_BEFORE = "earlier states keep them until `cloudmask expire {url} --older-than 0h`"

REPAIRED = "repaired"
"""Attribute of the root: when readers were brought back to this state."""


def mend_store(where: StoreLocation, found: Verified, progress: Progress) -> Verified:
    """Mend what was found, on the state itself or on the one before it that is whole.

    Raises
    ------
    StoreError
        Neither it nor an earlier state can be mended, or the store cannot be written to.
    """
    if found.lost and not found.earlier:
        raise StoreError(
            f"{where.url} cannot be mended: {found.damages[0].path}: {found.damages[0].reason}, and no "
            "earlier state of the store is whole: run the job into a new store folder"
        )
    if where.plain:
        return _mend_plain(where, found)
    repository, checksums = where.open(), Checksums(where.path)
    with explained(f"cannot mend the store {where.url}"):
        state = open_state(where, repository, checksums, found.earlier or found.snapshot)
        damages = check.find_damages(state, progress)[0] if found.lost else found.damages
        with _branch(repository, state.snapshot) as branch:
            mended, cleaned = _mend_state(repository, branch, state, damages, found)
        if mended:
            # The branches of runs build on the damaged state.
            for each in repository.list_branches():
                if each.startswith(RUN):
                    drop(repository, each)
        cleaned += cleaning.clean_failures(repository, checksums)
    done = cleaning.describe_cleaning(cleaned)
    earlier = (KEPT_BEFORE.format(url=where.url),) if done else ()
    return replace(found, repaired=mended, cleaned=done + earlier)


def _mend_state(
    repository: icechunk.Repository,
    branch: str,
    state: State,
    damages: Sequence[Damage],
    found: Verified,
) -> tuple[str, cleaning.Cleaned]:
    """Mend a state on a branch and show it to readers; return its snapshot, empty: nothing to do."""
    lost = sorted(state.lost)
    _delete(repository, branch, lost)
    session = repository.writable_session(branch)
    _make_empty(session, state, lost)
    root = zarr.open_group(session.store, mode="r+")
    MendArrays(root=root, state=state, damages=damages).run()
    cleaned = cleaning.clean(root)
    if not session.has_uncommitted_changes:
        if not found.lost:
            return "", cleaned
        # A commit needs a change; the earlier state stays as it was.
        root.attrs[REPAIRED] = datetime.now(UTC).isoformat()
    message = _message(damages, cleaning.describe_cleaning(cleaned), found.earlier)
    mended = session.commit(
        f"repair: {message}",
        metadata={**PUBLISHED, "repair": [each.path for each in damages][:1000]},
    )
    state.checksums.keep(repository, mended)
    repository.reset_branch(MAIN, mended, from_snapshot_id=found.snapshot)
    return mended, cleaned


def _mend_plain(where: StoreLocation, found: Verified) -> Verified:
    assert where.path is not None
    with explained(f"cannot mend the store {where.url}"):
        root = zarr.open_group(LocalStore(where.path), mode="r+")
        state = open_plain_state(where)
        MendArrays(root=root, state=state, damages=found.damages).run()
        cleaned = cleaning.describe_cleaning(cleaning.clean(root))
    if not found.damages and not cleaned:
        return found
    return replace(found, repaired=found.snapshot, cleaned=cleaned)


def _delete(repository: icechunk.Repository, branch: str, paths: Sequence[str]) -> None:
    """Delete arrays in a commit of its own: to change one, Icechunk reads its manifests."""
    if paths:
        session = repository.writable_session(branch)
        for path in paths:
            sync(session.store.delete_dir(path))
        session.commit("without the arrays whose manifests are damaged")


def _make_empty(session: icechunk.Session, state: State, paths: Sequence[str]) -> None:
    """Make arrays again, empty: where their chunks are is not known any more."""
    for path in paths:
        key = f"{path}/zarr.json"
        metadata = sync(state.root.store_path.store.get(key, default_buffer_prototype()))
        assert metadata is not None, key
        sync(session.store.set(key, metadata))


@contextmanager
def _branch(repository: icechunk.Repository, base: str) -> Iterator[str]:
    name = f"{REPAIR}{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    repository.create_branch(name, base)
    try:
        yield name
    finally:
        drop(repository, name)


def _message(damages: Sequence[Damage], cleaned: Sequence[str], base: str) -> str:
    again = {(each.group, each.cell) for each in damages if each.mend == "again"}
    words = [f"{counted(len(again), 'cell')} to be made again" if again else "", *cleaned]
    words.append(f"back to {base}" if base else "")
    return ", ".join(each for each in words if each) or "derived arrays were computed again"
