"""Verifying a store: everything that readers see is read, and what is damaged can be mended."""

from __future__ import annotations

from dataclasses import replace

from pipeline.store.base.checksums import Checksums
from pipeline.store.base.location import MAIN, StoreLocation, locate_store
from pipeline.store.base.translate_errors import explained
from pipeline.store.repair import check, history
from pipeline.store.repair.damages import Damage, Progress, Verified
from pipeline.store.repair.mend import mend_store
from pipeline.store.repair.state import State, open_plain_state, open_state
from pipeline.wording import counted


def verify(
    url: str, *, mend: bool = False, progress: Progress = lambda _done, _total: None
) -> Verified:
    """Read all that a store shows to readers, and say what of it is damaged.

    Parameters
    ----------
    url
        Path or URL of the store.
    mend
        Mend what can be mended and show readers the result; see `Verified.repaired`. Damaged cells
        are marked as never made, so that the next run makes them again.
    progress
        Called as cells are read.

    Raises
    ------
    StoreError
        There is no store, or nothing of it can be read; or it cannot be written to.
    StoreConflictError
        It is to be mended, and a run is at work.
    """
    where = locate_store(url)
    if not mend:
        return _read_all(where, progress)
    with where.lock():
        found = _read_all(where, progress)
        back = Checksums(where.path).put_back()
        if not back:
            return mend_store(where, found, progress)
        mended = mend_store(where, _read_all(where, progress), progress)
    return replace(
        mended,
        damages=found.damages,
        repaired=mended.repaired or mended.snapshot,
        cleaned=(f"{counted(len(back), 'file')} put back from copies", *mended.cleaned),
    )


def _read_all(where: StoreLocation, progress: Progress) -> Verified:
    if where.plain:
        return _check(open_plain_state(where), progress)
    repository, checksums = where.open(), Checksums(where.path)
    with explained(f"cannot read the store {where.url}"):
        main = repository.lookup_branch(MAIN)
    if reason := history.unreadable(repository, checksums, main):
        damage = Damage(path=f"snapshots/{main}", reason=reason, mend="state")
        earlier = history.whole_before(repository, checksums, main)
        return Verified(snapshot=main, damages=(damage,), cells=0, earlier=earlier)
    with explained(f"cannot read the store {where.url}"):
        found = _check(open_state(where, repository, checksums, main), progress)
        earlier = history.whole_before(repository, checksums, main) if found.lost else ""
        older = tuple(history.damaged_before(repository, checksums, main))
    return replace(found, damages=(*found.damages, *older), earlier=earlier)


def _check(state: State, progress: Progress) -> Verified:
    damages, cells = check.find_damages(state, progress)
    return Verified(snapshot=state.snapshot, damages=tuple(damages), cells=cells)
