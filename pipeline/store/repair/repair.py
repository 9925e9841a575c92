"""Mending a damaged store: what follows from what is there is made anew, the rest is marked as never made.

A run then makes it again, as it would have been. Cells are not mended here: only a run reads imagery.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import icechunk
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore

from pipeline.errors import StoreError
from pipeline.store.arrays import layout
from pipeline.store.base.checksums import Checksums
from pipeline.store.base.location import MAIN, PUBLISHED, RUN, Location, locate
from pipeline.store.base.reading import damaged_chunks
from pipeline.store.base.translate_errors import explained
from pipeline.store.repair import cleaning
from pipeline.store.repair.damages import Damage, State, Told, wrong_manifests
from pipeline.store.repair.mending import Mending
from pipeline.store.versions.branches import drop
from pipeline.store.write import plain_zarr
from pipeline.wording import counted

REPAIR = "repair-"
"""Prefix of the branch on which a store is mended."""

KEPT_BEFORE = "earlier states keep them until `cloudmask expire {url} --older-than 0h`"

REPAIRED = "repaired"
"""Attribute of the root: when readers were brought back to this state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found in a store."""

    snapshot: str
    """The state that was read."""
    damages: tuple[Damage, ...]
    cells: int
    """How many cells were read."""
    earlier: str = ""
    """A state before it that is whole where this one is lost; empty: none is needed, or there is none."""
    repaired: str = ""
    """The state that readers see since; empty: nothing was mended."""
    cleaned: tuple[str, ...] = ()
    """What else was done."""

    @property
    def lost(self) -> bool:
        """Whether the state itself cannot be mended in place."""
        return any(each.mend == "state" for each in self.damages)


def verify(
    url: str, *, mend: bool = False, told: Told = lambda _done, _total: None
) -> Verified:
    """Read all that a store shows to readers, and say what of it is damaged.

    Parameters
    ----------
    url
        Path or URL of the store.
    mend
        Mend what can be mended and show readers the result; see `Verified.repaired`. Damaged cells
        are marked as never made, so that the next run makes them again.
    told
        Hears of progress.

    Raises
    ------
    StoreError
        There is no store, or nothing of it can be read; or it cannot be written to.
    StoreConflictError
        It is to be mended, and a run is at work.
    """
    where = locate(url)
    if not mend:
        return _looked(where, told)
    with where.lock():
        found = _looked(where, told)
        back = Checksums(where.path).put_back()
        if not back:
            return _mended(where, found, told)
        mended = _mended(where, _looked(where, told), told)
    return replace(
        mended,
        damages=found.damages,
        repaired=mended.repaired or mended.snapshot,
        cleaned=(f"{counted(len(back), 'file')} put back from copies", *mended.cleaned),
    )


def _looked(where: Location, told: Told) -> Verified:
    if where.plain:
        return _verified(_plain_state(where), told)
    repository, checksums = where.open(), Checksums(where.path)
    with explained(f"cannot read the store {where.url}"):
        main = repository.lookup_branch(MAIN)
    if trouble := _unreadable(repository, checksums, main):
        damage = Damage(path=f"snapshots/{main}", reason=trouble, mend="state")
        earlier = _sound_before(repository, checksums, main)
        return Verified(snapshot=main, damages=(damage,), cells=0, earlier=earlier)
    with explained(f"cannot read the store {where.url}"):
        found = _verified(_state(where, repository, checksums, main), told)
        earlier = _sound_before(repository, checksums, main) if found.lost else ""
        older = tuple(_older(repository, checksums, main))
    return Verified(
        snapshot=main, damages=(*found.damages, *older), cells=found.cells, earlier=earlier
    )


def _older(
    repository: icechunk.Repository, checksums: Checksums, snapshot: str
) -> Iterator[Damage]:
    """Yield what of the history is damaged: readers of now see all, but not how it came about."""
    for each in _ancestors(repository, checksums, snapshot):
        if trouble := _unreadable(repository, checksums, each):
            yield Damage(path=f"snapshots/{each}", reason=trouble, mend="none")


def _verified(state: State, told: Told) -> Verified:
    cells = 0

    def count(done: int, total: int) -> None:
        nonlocal cells
        cells = total
        told(done, total)

    damages = tuple(state.find(count))
    return Verified(snapshot=state.snapshot, damages=damages, cells=cells)


# -- states ------------------------------------------------------------------------------------


def _state(
    where: Location, repository: icechunk.Repository, checksums: Checksums, snapshot: str
) -> State:
    session = repository.readonly_session(snapshot_id=snapshot)
    root = zarr.open_group(session.store, mode="r")
    return State(
        root=root,
        grid=layout.stored_grid(root, where.url),
        snapshot=snapshot,
        repository=repository,
        checksums=checksums,
    )


def _plain_state(where: Location) -> State:
    assert where.path is not None
    with explained(f"cannot read the store {where.url}"):
        root = plain_zarr.open_root(where.path)
        if root is None:
            raise StoreError(f"there is no store at {where.url}: check the path")
        return State(
            root=root,
            grid=layout.stored_grid(root, where.url),
            snapshot=str(root.attrs.get(plain_zarr.PUBLISHED, "")),
            repository=None,
            checksums=Checksums(None),
        )


def _unreadable(repository: icechunk.Repository, checksums: Checksums, snapshot: str) -> str:
    """Say why the file of a snapshot cannot be used; empty: it can."""
    if trouble := checksums.trouble(snapshot):
        return trouble
    try:
        with explained("it cannot be read"):
            repository.lookup_snapshot(snapshot)
    except StoreError as error:
        return str(error)
    return ""


def _sound_before(repository: icechunk.Repository, checksums: Checksums, snapshot: str) -> str:
    """Return the newest state before one whose small arrays can all be read; empty: none."""
    for earlier in _ancestors(repository, checksums, snapshot):
        if _unreadable(repository, checksums, earlier) or checksums.wrong_files(earlier):
            continue
        try:
            with explained("it cannot be read"):
                root = layout.open_root(repository.readonly_session(snapshot_id=earlier).store)
        except StoreError:
            continue
        if root is not None and not any(_lost_small(root)):
            return earlier
    return ""


def _lost_small(root: zarr.Group) -> Iterator[bool]:
    for _, array in root.members(max_depth=None):
        if isinstance(array, zarr.Array) and array.ndim < 3:
            yield any(True for _ in damaged_chunks(array))


def _ancestors(
    repository: icechunk.Repository, checksums: Checksums, snapshot: str
) -> Iterator[str]:
    """Yield the states before one, newest first, by the lists where a snapshot cannot be read."""
    while True:
        listed = checksums.listed(snapshot)
        if listed is not None and listed.whole:
            parent = listed.parent
        else:
            try:
                parent = repository.lookup_snapshot(snapshot).parent_id
            except icechunk.IcechunkError:
                return
        if parent is None or not _unreadable_root(repository, parent):
            return
        yield parent
        snapshot = parent


def _unreadable_root(repository: icechunk.Repository, snapshot: str) -> bool:
    """Say whether a snapshot is not the empty beginning of the repository."""
    try:
        return repository.lookup_snapshot(snapshot).parent_id is not None
    except icechunk.IcechunkError:
        return True


# -- mending -----------------------------------------------------------------------------------


def _mended(where: Location, found: Verified, told: Told) -> Verified:
    """Mend what was found, on the state itself or on the one before it that is whole."""
    if found.lost and not found.earlier:
        raise StoreError(
            f"{where.url} cannot be mended: {found.damages[0].path}: {found.damages[0].reason}, and no "
            "earlier state of the store is whole: run the job into a new store folder"
        )
    if where.plain:
        return _mended_plain(where, found)
    repository, checksums = where.open(), Checksums(where.path)
    base, damages = found.snapshot, found.damages
    with explained(f"cannot mend the store {where.url}"):
        if found.lost:
            base = found.earlier
            damages = tuple(_state(where, repository, checksums, base).find(told))
        with _branch(repository, base) as branch:
            state = _state(where, repository, checksums, base)
            state.lost = wrong_manifests(repository, checksums, base)
            lost = sorted(state.lost)
            _without(repository, branch, lost)
            session = repository.writable_session(branch)
            _made_anew(session, state, lost)
            root = zarr.open_group(session.store, mode="r+")
            Mending(root=root, state=state, damages=damages).run()
            cleaned = cleaning.clean(root)
            made = ""
            if session.has_uncommitted_changes or base != found.snapshot:
                if not session.has_uncommitted_changes:
                    # A commit has something to say; what it goes back to is as it was.
                    root.attrs[REPAIRED] = datetime.now(UTC).isoformat()
                words = _told(damages, cleaning.in_words(cleaned), base if found.lost else "")
                made = session.commit(
                    f"repair: {words}",
                    metadata={**PUBLISHED, "repair": [each.path for each in damages][:1000]},
                )
                checksums.keep(repository, made)
                repository.reset_branch(MAIN, made, from_snapshot_id=found.snapshot)
        if made:
            # What runs had begun builds on what was damaged.
            for each in repository.list_branches():
                if each.startswith(RUN):
                    drop(repository, each)
        cleaned += cleaning.clean_failures(repository, checksums)
    done = cleaning.in_words(cleaned)
    earlier = (KEPT_BEFORE.format(url=where.url),) if done else ()
    return replace(found, repaired=made, cleaned=done + earlier)


def _mended_plain(where: Location, found: Verified) -> Verified:
    assert where.path is not None
    with explained(f"cannot mend the store {where.url}"):
        root = zarr.open_group(LocalStore(where.path), mode="r+")
        state = _plain_state(where)
        Mending(root=root, state=state, damages=found.damages).run()
        cleaned = cleaning.in_words(cleaning.clean(root))
    if not found.damages and not cleaned:
        return found
    return replace(found, repaired=found.snapshot, cleaned=cleaned)


def _without(repository: icechunk.Repository, branch: str, paths: Sequence[str]) -> None:
    """Take arrays out, in a commit of its own: to change one, Icechunk reads its manifests."""
    if paths:
        session = repository.writable_session(branch)
        for path in paths:
            sync(session.store.delete_dir(path))
        session.commit("without the arrays whose manifests are damaged")


def _made_anew(session: icechunk.Session, state: State, paths: Sequence[str]) -> None:
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


def _told(damages: Sequence[Damage], cleaned: Sequence[str], base: str) -> str:
    again = {(each.group, each.cell) for each in damages if each.mend == "again"}
    words = [f"{counted(len(again), 'cell')} to be made again" if again else "", *cleaned]
    words.append(f"back to {base}" if base else "")
    return (
        ", ".join(each for each in words if each) or "what follows from the rest was made anew"
    )
