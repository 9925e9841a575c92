"""Runs are killed at random moments and run again: what is published is as if nothing had happened."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from pipeline import store
from tests.nights import killing
from tests.nights.attempts import SEEDS, Fate, Reader, Undisturbed, looks
from tests.nights.counting import provided
from tests.nights.prefect_server import PrefectServer
from tests.nights.region import Region, windows
from tests.nights.running import Running, cloudmask
from tests.nights.seen import Cell, committed, look, run_branches

GIVE_UP_S = 30.0
"""For a flow whose embedded server is gone for good: it goes on, and asks for it again and again."""


@pytest.fixture(scope="module")
def region(tmp_path_factory) -> Region:
    return Region.make(tmp_path_factory.mktemp("region"))


@pytest.fixture(scope="module")
def undisturbed(region, tmp_path_factory) -> Undisturbed:
    return Undisturbed(region, tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="module")
def cell_of(region, tmp_path_factory) -> dict[str, Cell]:
    """The cell of every window that looks like no other cell's."""
    with provided():
        nowhere = tmp_path_factory.mktemp("nowhere") / "store"
        found: dict[str, set[Cell]] = {}
        for name in ("halfway", "after"):
            for window, cells in windows(region.job(nowhere, name)).items():
                found.setdefault(window, set()).update(cells)
    known = {window: next(iter(cells)) for window, cells in found.items() if len(cells) == 1}
    assert len(known) > 0.9 * len(found)
    return known


@pytest.fixture(scope="module")
def prefect_server(region):
    with PrefectServer(region.folder / "prefect-server") as server:
        yield server


@pytest.fixture(scope="module")
def reader(region):
    made = Reader(region.environment(region.folder / "unused"))
    yield made
    made.close()


class Trial:
    """The runs of one seed over one store."""

    def __init__(
        self, region: Region, undisturbed: Undisturbed, fate: Fate, folder: Path
    ) -> None:
        self.region, self.undisturbed, self.fate, self.folder = (
            region,
            undisturbed,
            fate,
            folder,
        )
        self.path = fate.start
        self.store = folder / "store"
        self.notes: list[dict] = []
        self.computed: list[Counter[str]] = []
        self.kept: list[set[tuple[Cell, int]]] = []
        first = undisturbed.after(self.path, fate.changes)
        if first.state is not None:
            shutil.copytree(first.store, self.store)

    @property
    def states(self):
        """What may be seen: of all that was published so far."""
        lengths = range(len(self.path) + 1)
        return [self._after(self.path[:length]).state for length in lengths]

    def _after(self, path):
        return self.undisturbed.after(path, self.fate.changes)

    def start(self, catalogue: str, **environment: str) -> Running:
        self.log = self.folder / f"windows{len(self.computed)}"
        self.log.touch()
        self.said = self.folder / f"said{len(self.computed)}"
        job = self.region.job_file(self.folder / "job.yaml", catalogue, **self.fate.settings)
        plain = self.fate.how in ("plain", "workers")
        arguments = ["run", str(job), "--no-report", "--quiet", *(["--plain"] if plain else [])]
        return cloudmask(
            arguments,
            self.region.environment(self.log, **environment),
            self.said,
            # Networks, Dask and Prefect bring threads and processes of their own.
            forked=self.fate.how == "plain" and not self.fate.changes,
        )

    def count_windows(self) -> int:
        """Count what the run has masked so far."""
        return len(self.log.read_text().split())

    def note(self, catalogue: str, **what: object) -> None:
        """Look at what a run has left, and check that it published all or nothing."""
        now = look(str(self.store))
        if self.path[-1:] != (catalogue,) and same(
            now, self._after((*self.path, catalogue)).state
        ):
            self.path = (*self.path, catalogue)
        assert same(now, self._after(self.path).state), "neither the state before nor after"
        self.computed.append(Counter(self.log.read_text().split()))
        self.kept.append(
            committed(str(self.store)) if now or has_repository(self.store) else set()
        )
        self.notes.append(
            {**what, "published": "+".join(self.path), "windows": self.computed[-1].total()}
        )


def same(one, other) -> bool:
    """Compare what is held, not when it was written."""
    return (one and (one.runs, one.digest)) == (other and (other.runs, other.digest))


def has_repository(store: Path) -> bool:
    return (store / "refs").is_dir() and any((store / "refs").rglob("*.json"))


# -- the runs ----------------------------------------------------------------------------------


def die(trial: Trial, moment: killing.Moment, server: PrefectServer | None) -> None:
    """Run once, kill at the moment, bury what is left."""
    fate, catalogue = trial.fate, trial.fate.meanwhile
    whole = trial.undisturbed.after((*fate.start, catalogue), fate.changes)
    process = trial.start(catalogue, **({} if server is None else server.environment))
    if fate.target == "worker":
        came = killing.await_moment(process, moment, trial.count_windows, whole.windows)
    else:
        files = partial(killing.count_files, trial.store)
        came = killing.await_moment(process, moment, files, whole.files)
    family = killing.family(process)
    killed = killing.kill(victims(fate, family, server)) if came else 0
    if fate.target == "server":
        if server is None:
            killing.give_up(process, GIVE_UP_S)
        elif killed:
            server.restart()
    # A run that lost a worker, or whose server comes back, lives on and ends in its own way.
    code = killing.ended(process)
    left = killing.bury(family)
    trial.note(catalogue, share=round(moment.share, 2), killed=killed, code=code, left=left)
    if fate.target == "worker":
        assert code == 0, trial.said.read_text()
    if code == 0:
        assert trial.path[-1] == catalogue, "it said that it was done"


def victims(fate: Fate, family, server: PrefectServer | None):
    if fate.target == "worker":
        return killing.workers(family)[:1]
    if fate.target == "server":
        return killing.embedded_server(family) if server is None else server.processes()
    return killing.coordinator(family)


def finish(trial: Trial, server: PrefectServer | None) -> None:
    """Run without disturbance."""
    if server is not None:
        server.ensure()
    process = trial.start("after", **({} if server is None else server.environment))
    family = killing.family(process)
    code = killing.ended(process)
    assert code == 0, trial.said.read_text()
    assert not killing.bury(family)
    trial.note("after", share=None, killed=0)
    assert trial.path[-1] == "after"


# -- the laws ----------------------------------------------------------------------------------


def assert_readers_saw_whole_states(seen_all, trial: Trial) -> None:
    """Every look shows one of the published states, whole; and never an earlier one again."""
    assert seen_all
    allowed = [None if state is None else (state.runs, state.digest) for state in trial.states]
    allowed = allowed[len(trial.fate.start) :]
    turns = []
    for each in seen_all:
        assert "error" not in each, each
        seen = (each["runs"], each["digest"]) if each else None
        assert seen in allowed, each
        turns.append(allowed.index(seen))
    assert turns == sorted(turns)
    held = {(each["snapshot"], each["digest"]) for each in seen_all if each}
    assert len({snapshot for snapshot, _ in held}) == len(held)


def assert_nothing_was_computed_twice(trial: Trial, cell_of: dict[str, Cell]) -> None:
    """What was published or committed is not masked again; what is lost is the batch in flight."""
    expected = trial.undisturbed.after(trial.path, trial.fate.changes).cells
    there = {
        cell
        for cell, _ in trial.undisturbed.after(trial.fate.start, trial.fate.changes).cells
        & expected
    }
    for computed, kept in zip(trial.computed, trial.kept, strict=True):
        masked = {cell_of[window] for window in computed if window in cell_of}
        assert not masked & there, "masked again although it was kept"
        twice = [
            window for window, count in computed.items() if count > 1 and window in cell_of
        ]
        assert not twice or trial.fate.target == "worker", "masked twice in one run"
        if trial.fate.meanwhile == "after":
            there |= {cell for cell, fingerprint in kept if (cell, fingerprint) in expected}
            lost = {cell[-2:] for cell in masked - there} if kept else set()
            assert len(lost) <= trial.fate.in_flight


def assert_orphans_are_collected(trial: Trial) -> None:
    """After `expire` the store holds what one has that nobody disturbed, and no more."""
    whole = trial.undisturbed.expired(trial.path, trial.fate.changes)
    store.expire(str(trial.store), datetime.now(UTC))
    assert run_branches(str(trial.store)) == []
    assert same(look(str(trial.store)), look(str(whole)))
    for kind in ("chunks", "manifests", "snapshots"):
        assert sizes(trial.store / kind) == sizes(whole / kind)


def sizes(folder: Path) -> int:
    return len(list(folder.iterdir()))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_killed_and_run_again_is_undisturbed(
    region, undisturbed, cell_of, reader, tmp_path, request, seed
):
    fate = Fate.of(seed)
    server = request.getfixturevalue("prefect_server") if fate.how == "served" else None
    trial = Trial(region, undisturbed, fate, tmp_path)
    with reader.reading(trial.store, tmp_path / "looks"):
        for moment in fate.moments:
            if server is not None:
                server.ensure()
            die(trial, moment, server)
        finish(trial, server)
    seen = looks(tmp_path / "looks")
    (tmp_path / "outcome.json").write_text(
        json.dumps(
            {
                "seed": seed,
                "how": fate.how,
                "target": fate.target,
                "start": fate.start,
                "meanwhile": fate.meanwhile,
                "looks": len(seen),
                "runs": trial.notes,
            }
        )
    )
    assert_readers_saw_whole_states(seen, trial)
    if not fate.changes:
        assert_nothing_was_computed_twice(trial, cell_of)
    assert_orphans_are_collected(trial)
