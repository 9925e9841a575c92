"""A run that finds another's work published before its own puts its own on top, without loss."""

import json
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import xarray as xr
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipeline import store
from pipeline.errors import StoreConflictError
from pipeline.store.base.location import StoreLocation, locate_store
from pipeline.store.versions import branches, rollback_expire
from pipeline.store.write import catch_up
from tests.store.making import JULY, JUNE, ROLES, Make

make = Make()
TILES = tuple(make.grid().tiles())
TIMES = [make.times(60)[n] for n in (0, 1, 2, 40, 41)]
"""Three in June, two in July."""
PERIODS = (JUNE, JULY)
NAME = "monthly"


@dataclass(frozen=True)
class Work:
    """What a run does: masks {(scene, tile): seed}, composites {(period, tile): seed}."""

    key: str
    masks: dict[tuple[int, int], int]
    composed: dict[tuple[int, int], int]
    overviews: bool = False
    confidence: bool = False
    judged_by: str = "{}"
    reach_m: float = 0.0

    @property
    def scenes(self) -> list[int]:
        return sorted({scene for scene, _ in self.masks})

    @property
    def items(self) -> list[str]:
        # In an order of its own, so that positions differ between runs.
        shared = [f"item-{n}" for n in range(5)]
        return [f"{self.key}-own", *(reversed(shared) if self.key == "other" else shared)]

    def do(self, writer) -> None:
        documents = [{"id": each, "properties": {"of": each}} for each in self.items]
        positions = writer.item_positions(self.items, documents)
        rows = [(TIMES[n], "sentinel-2a", [f"item-{n}"]) for n in self.scenes]
        if rows:
            writer.set_scenes(make.sensor, rows, confidence=self.confidence)
        for (scene, tile), seed in self.masks.items():
            codes = make.mask(TILES[tile], seed)
            given = codes + 50 if self.confidence else None
            writer.write_mask(
                make.sensor, TIMES[scene], TILES[tile], codes, 100 + seed, confidence=given
            )
        writer.commit("masks")
        if self.composed:
            chosen = [PERIODS[n] for n in sorted({period for period, _ in self.composed})]
            writer.set_composite(
                NAME,
                ROLES,
                chosen,
                {"method": "median", "judged_by": self.judged_by}
                | ({"reach_m": self.reach_m} if self.reach_m else {}),
            )
        for (period, tile), seed in self.composed.items():
            made = make.composite(TILES[tile], seed)
            # A seed names the items, too, whatever their positions are.
            shared = np.array([positions[self.items.index(f"item-{n}")] for n in range(5)])
            pick = np.random.default_rng(seed).integers(-1, 5, made["source"].shape)
            made["source"].values = np.where(pick < 0, -1, shared[pick])
            writer.write_composite(NAME, PERIODS[period].start, TILES[tile], made, 100 + seed)
        writer.commit("composites")

    def overlaps(self, other: "Work") -> bool:
        """Say whether this one cannot go on top of another, by the definition."""
        both = any(other.masks.get(cell, seed) != seed for cell, seed in self.masks.items())
        both |= any(
            other.composed.get(cell, seed) != seed for cell, seed in self.composed.items()
        )
        return both or any(
            tile == masked and (scene < 3) == (period == 0)
            for (period, tile), seed in self.composed.items()
            for scene, masked in other.masks
            if other.composed.get((period, tile)) != seed
        )


def begin(url, work):
    return store.open_writer(
        url, make.grid(), title="t", run_key=work.key, overviews=work.overviews
    )


def run(url, work):
    with begin(url, work) as writer:
        work.do(writer)
        return writer.publish({"run_id": work.key})


def content(url) -> dict[str, xr.Dataset]:
    archive = store.open_archive(url)
    found = {}
    for sensor in archive.sensors:
        for level in archive.levels("masks", sensor):
            found[f"{sensor}/{level}"] = archive.masks(sensor, level=level).load()
    for name in archive.composite_names:
        for level in archive.levels("composites", name):
            found[f"{name}/{level}"] = archive.composite(name, level=level).load()
        ids = np.array([*archive.item_ids, "none"])
        made = found[f"{name}/1"]
        # Positions are of a store's own; what they mean is not.
        found[f"{name}/1"] = made.assign(source=(made["source"].dims, ids[made["source"]]))
    return found


def same(one, other):
    assert set(one) == set(other)
    for name in one:
        xr.testing.assert_identical(one[name], other[name])


masks = st.dictionaries(
    st.tuples(st.integers(0, 4), st.integers(0, 5)), st.integers(0, 2), min_size=1, max_size=6
)
composed = st.dictionaries(
    st.tuples(st.integers(0, 1), st.integers(0, 5)), st.integers(0, 2), max_size=3
)


def works(key):
    return st.builds(Work, key=st.just(key), masks=masks, composed=composed)


@pytest.fixture(autouse=True)
def no_lock(monkeypatch):
    """Let a local path be as open as an object store; within one process it is as safe."""
    monkeypatch.setattr(StoreLocation, "lock", lambda _: nullcontext())


@pytest.mark.slow
@settings(max_examples=40, phases=set(Phase) - {Phase.shrink})
@given(before=works("before"), one=works("one"), other=works("other"))
def test_two_runs_at_once_are_as_if_one_came_after_the_other(before, one, other):
    with tempfile.TemporaryDirectory() as folder:
        url, after = f"{folder}/at-once", f"{folder}/one-by-one"
        for place in (url, after):
            run(place, before)
        # What is there already is nobody's change: a run leaves it alone.
        one, other = (
            replace(
                each,
                masks={k: v for k, v in each.masks.items() if before.masks.get(k) != v},
                composed={
                    k: v for k, v in each.composed.items() if before.composed.get(k) != v
                },
            )
            for each in (one, other)
        )
        run(after, one)
        run(after, other)
        with begin(url, other) as late:
            other.do(late)
            run(url, one)
            overlap = other.overlaps(one)
            if overlap:
                with pytest.raises(
                    StoreConflictError, match="both wrote .*start this run again"
                ):
                    late.publish({"run_id": "other"})
            else:
                late.publish({"run_id": "other"})
        if overlap:
            assert [each["run_id"] for each in store.open_archive(url).records()] == [
                "before",
                "one",
            ]
            run(url, other)
        same(content(url), content(after))
        assert [each["run_id"] for each in store.open_archive(url).records()] == [
            "before",
            "one",
            "other",
        ]
        assert locate_store(url).open().list_branches() == {"main"}


@pytest.mark.quick(1)
@pytest.mark.parametrize("cells_a_commit", [1, 4096])
def test_everything_that_a_cell_has_goes_along(url, tmp_path, monkeypatch, cells_a_commit):
    monkeypatch.setattr(catch_up, "CELLS_A_COMMIT", cells_a_commit)
    before = Work("before", {(0, 0): 1}, {})
    # Another scene, other items before its own, and a mask without pixels where there were some.
    one = Work("one", {(3, 2): 5, (1, 1): 6}, {(1, 2): 7}, overviews=True)
    other = Work("other", {(2, 0): 8, (1, 4): 9}, {(0, 4): 3}, overviews=True, confidence=True)
    after = str(tmp_path / "one-by-one")
    for each in (url, after):
        run(each, before)
    run(after, one)
    run(after, other)
    with begin(url, other) as late:
        other.do(late)
        run(url, one)
        late.publish({"run_id": "other"})
    same(content(url), content(after))


def test_deleted_chunks_stay_deleted(tmp_path):
    url, tile, time = str(tmp_path / "store"), TILES[0], TIMES[0]
    run(url, Work("before", {(0, 0): 1}, {}))
    clear = Work("clear", {}, {})
    with begin(url, clear) as late:
        late.write_mask(make.sensor, time, tile, None, 2)
        late.commit("cleared")
        run(url, Work("one", {(0, 1): 1}, {}))
        late.publish({})
    stored = store.open_archive(url).masks(make.sensor)
    assert not stored["mask"].values[0][tile.window].any()
    assert stored["mask"].values[0][TILES[1].window].any()
    assert stored["histogram"].values[0, 0, 0].tolist() == [64 * 64, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("judged", "period", "scene", "overlap"),
    [
        ({}, 0, 3, False),
        ({"screen": {"history_days": 31, "min_dates": 3}}, 0, 3, True),
        ({"screen": {"history_days": 31, "min_dates": 3}}, 1, 0, True),
        ({"screen": {"history_days": 1, "min_dates": 3}}, 0, 3, False),
        ({"guard": {"history_days": 90}, "screen": None}, 1, 0, True),
        ({"guard": {"history_days": 90}}, 0, 3, False),
        ({"guard": {"history_days": 1}}, 1, 0, False),
    ],
)
def test_masks_that_screen_or_guard_a_period_decide_it(url, judged, period, scene, overlap):
    """Scene 0 is of June, 3 of July; another run masks it while this one composes the other month."""
    other = Work("other", {(1, 4): 9}, {(period, 2): 3}, judged_by=json.dumps(judged))
    run(url, Work("before", {(0, 0): 1, (3, 0): 1}, {}))
    with begin(url, other) as late:
        other.do(late)
        run(url, Work("one", {(scene, 2): 5}, {}))
        if not overlap:
            late.publish({"run_id": "other"})
            return
        with pytest.raises(StoreConflictError, match="tile r001c000 of composite monthly"):
            late.publish({"run_id": "other"})


@pytest.mark.parametrize(
    ("reach_m", "tile", "overlap"),
    [(0.0, 2, False), (20.0, 2, True), (20.0, 3, True), (1280.0, 4, False), (1300.0, 4, True)],
)
def test_masks_within_reach_of_a_tile_decide_its_composite(url, reach_m, tile, overlap):
    """Tiles are of 1 280 m: 2 lies below the one that is composed, 3 beside that, and 4 below 2."""
    other = Work("other", {(1, 5): 9}, {(0, 0): 3}, reach_m=reach_m)
    run(url, Work("before", {(0, 0): 1}, {}))
    with begin(url, other) as late:
        other.do(late)
        run(url, Work("one", {(0, tile): 5}, {}))
        if not overlap:
            late.publish({"run_id": "other"})
            return
        with pytest.raises(StoreConflictError, match="tile r000c000 of composite monthly"):
            late.publish({"run_id": "other"})


def test_what_does_not_overlap_outlives_a_conflict(url):
    one = Work("one", {(0, 0): 1}, {})
    other = Work("other", {(0, 0): 2, (0, 1): 2, (0, 2): 2}, {})
    with begin(url, other) as late:
        other.do(late)
        run(url, one)
        with pytest.raises(StoreConflictError, match="tile r000c000 of sentinel-2, 2026-06-01"):
            late.publish({})
    with begin(url, other) as again:
        found = [again.mask_fingerprint(make.sensor, TIMES[0], tile) for tile in TILES[:4]]
        assert found == [101, 102, 102, 0]
        np.testing.assert_array_equal(
            again.read_mask(make.sensor, TIMES[:1], TILES[2])[0], make.mask(TILES[2], 2)
        )


def test_others_that_never_stop_publishing_cause_no_storm(url, monkeypatch):
    waits, rivals = [], iter(range(100))
    monkeypatch.setattr(time, "sleep", waits.append)
    real = branches.move_main

    def late(repository, base, target):
        monkeypatch.setattr(branches, "move_main", real)
        n = next(rivals)
        run(url, Work(f"rival-{n}", {(0, 1 + n % 5): n}, {}))
        monkeypatch.setattr(branches, "move_main", late)
        real(repository, base, target)

    mine = Work("mine", {(0, 0): 1}, {})
    with begin(url, mine) as writer:
        mine.do(writer)
        monkeypatch.setattr(branches, "move_main", late)
        with pytest.raises(StoreConflictError, match="another run has published"):
            writer.publish({"run_id": "mine"})
    monkeypatch.setattr(branches, "move_main", real)
    # Five tries, four waits, each longer than the one before.
    assert next(rivals) == 5
    assert waits == sorted(waits)
    assert len(waits) == 4
    # Nothing is lost: the next start publishes what is there.
    with begin(url, mine) as writer:
        assert writer.mask_fingerprint(make.sensor, TIMES[0], TILES[0]) == 101
        writer.publish({"run_id": "mine"})
    ids = [each["run_id"] for each in store.open_archive(url).records()]
    assert ids == [*(f"rival-{n}" for n in range(5)), "mine"]


def test_work_on_what_was_rolled_back_is_not_brought_back(url):
    first = run(url, Work("first", {(0, 0): 1}, {}))
    run(url, Work("second", {(0, 0): 2}, {}))
    mine = Work("mine", {(0, 1): 1}, {})
    with begin(url, mine) as writer:
        mine.do(writer)
        branch = locate_store(url).open().lookup_branch("run-mine")
        store.roll_back(url, first)
        with pytest.raises(StoreConflictError, match="start this run again"):
            writer.publish({})
    # Even if the branch had outlived the rollback.
    locate_store(url).open().create_branch("run-mine", branch)
    with begin(url, mine) as writer:
        assert not writer.changed
        assert writer.mask_fingerprint(make.sensor, TIMES[0], TILES[0]) == 101


@pytest.mark.quick(1)
def test_a_run_killed_while_it_moves_its_work_starts_where_it_was(anywhere, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    mine = Work("mine", {(0, 0): 1, (1, 3): 4}, {(0, 0): 2})
    with begin(anywhere, mine) as writer:
        mine.do(writer)
        run(anywhere, Work("one", {(3, 0): 1}, {}))
        with monkeypatch.context() as patch:
            patch.setattr(branches, "advance", killed)
            with pytest.raises(Killed):
                writer.publish({})
    with begin(anywhere, mine) as writer:
        assert writer.mask_fingerprint(make.sensor, TIMES[1], TILES[3]) == 104
        assert writer.composite_fingerprint(NAME, JUNE.start, TILES[0]) == 102
        assert writer.mask_fingerprint(make.sensor, TIMES[3], TILES[0]) == 101
        writer.publish({})
    assert locate_store(anywhere).open().list_branches() == {"main"}


def test_a_run_at_its_first_tile_is_not_taken_for_a_left_one(url):
    before = Work("before", {(0, 0): 1}, {})
    run(url, before)
    with begin(url, Work("slow", {}, {})) as slow:
        run(url, Work("one", {(0, 1): 1}, {}))
        run(url, Work("other", {(0, 2): 1}, {}))
        slow.write_mask(make.sensor, TIMES[0], TILES[3], make.mask(TILES[3], 4), 104)
        slow.publish({"run_id": "slow"})
    masks = store.open_archive(url).masks(make.sensor)["fingerprint"].values[0]
    assert [int(masks[tile.row, tile.col]) for tile in TILES[:4]] == [101, 101, 101, 104]


def test_left_work_that_cannot_be_moved_is_done_again(url):
    mine = Work("mine", {(0, 0): 1}, {})
    with begin(url, mine) as writer:
        mine.do(writer)
    run(url, Work("one", {(0, 1): 1}, {}, overviews=True))
    with begin(url, mine) as writer:
        assert not writer.changed
        mine.do(writer)
        writer.publish({})
    archive = store.open_archive(url)
    assert archive.masks(make.sensor)["fingerprint"].values[0, 0].tolist() == [101, 101]
    assert archive.masks(make.sensor, level=2)["mask"].values[0, :32, :32].any()


def test_what_a_killed_move_leaves_is_expired(url, monkeypatch):
    monkeypatch.setattr(rollback_expire, "SAFE_AGE", timedelta(0))
    run(url, Work("one", {(0, 1): 1}, {}))
    repository = locate_store(url).open()
    repository.create_branch("replay-run-gone", repository.lookup_branch("main"))
    store.expire(url, datetime.now(UTC))
    assert repository.list_branches() == {"main"}


@pytest.mark.slow
def test_two_runs_that_find_other_items_of_one_pass_overlap(url):
    """Else the store would have the pass twice."""

    def work(writer, hours, seconds, name, platform):
        when = TIMES[0] + timedelta(hours=hours, seconds=seconds)
        writer.item_positions([name], [{"id": name, "properties": {}}])
        writer.set_scenes(make.sensor, [(when, platform, [name])])
        writer.write_mask(make.sensor, when, TILES[0], make.mask(TILES[0]), 101)
        writer.commit("masks")

    run(url, Work("before", {(1, 0): 1}, {}))
    # Another platform's pass, at the same time, is another scene.
    for platform, hours in (("sentinel-2b", 1), ("sentinel-2a", 6)):
        with begin(url, Work(f"slow-{platform}", {}, {})) as slow:
            work(slow, hours, 20, f"slow-{platform}", platform)
            with begin(url, Work(f"quick-{platform}", {}, {})) as quick:
                work(quick, hours, 0, f"quick-{platform}", "sentinel-2a")
                quick.publish({})
            expected = pytest.raises(StoreConflictError, match="the scene of sentinel-2 at")
            with nullcontext() if platform == "sentinel-2b" else expected:
                slow.publish({})
    assert store.open_archive(url).masks(make.sensor).sizes["time"] == 4
