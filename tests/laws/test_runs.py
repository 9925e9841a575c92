"""Laws of whole runs: any partition, run twice, killed anywhere; the composite never invents."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odc.geo.geom import Geometry

from pipeline import cube, run, store
from pipeline.search import save_items
from pipeline.testing import WindowMeanModel
from pipeline.types import (
    NEVER,
    UNCOVERED,
    CleanSettings,
    Code,
    Items,
    Job,
    MaskSettings,
    Period,
    ShadowSettings,
    Source,
    is_usable,
)
from tests.laws.conftest import BANDS, contents, make_job, same

pytestmark = pytest.mark.usefixtures("window_model")
few = settings(
    max_examples=max(2, settings().max_examples // 50),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
DEATHS = max(2, settings().max_examples // 40)
"""How often a run may die; each costs a run."""
counter = itertools.count()


def fresh(tmp_path: Path) -> Path:
    return tmp_path / f"store{next(counter)}"


def in_aoi(dataset: xr.Dataset, job: Job) -> xr.Dataset:
    """Cut a dataset to the box of the AOI: tiles that it does not touch are not made at all."""
    cells = ["fingerprint", "histogram"]
    area = Geometry(job.aoi, "EPSG:4326")
    return dataset.drop_vars(cells, errors="ignore").odc.crop(area, apply_mask=False)


@few
@given(
    st.sampled_from([(64, 3), (64, 5), (128, 2), (128, 3), (256, 2), (512, 1)]),
    st.integers(1, 3),
    st.integers(0, 3),
)
def test_any_partition_gives_the_same_pixels(
    undisturbed, summer, tmp_path, cut, workers, ahead
):
    chunk, chunks_a_tile = cut
    job = make_job(
        summer,
        fresh(tmp_path),
        chunk_px=chunk,
        tile_px=chunk * chunks_a_tile,
        workers=workers,
        read_ahead=ahead,
    )
    run.run(job)
    found = contents(job.store)
    _, expected = undisturbed
    for name, dataset in expected.items():
        if name == "items":
            xr.testing.assert_identical(found[name], dataset)
            continue
        one, other = in_aoi(found[name], job), in_aoi(dataset, job)
        assert one.sizes["x"] > 250
        for variable in other.data_vars:
            np.testing.assert_array_equal(one[variable], other[variable], err_msg=variable)


@pytest.mark.slow
def test_windows_that_tiles_share_are_run_once(summer, tmp_path, monkeypatch):
    """What neighbours read of them agrees to the bit, whatever was decoded for which tile."""
    run_windows = []
    predict = WindowMeanModel.predict

    def counted(self, windows):
        run_windows.extend(window.tobytes() for window in windows)
        return predict(self, windows)

    monkeypatch.setattr(WindowMeanModel, "predict", counted)
    job = make_job(summer, fresh(tmp_path), chunk_px=128, tile_px=128)
    run.run(job.replace(composite=None))
    assert len(run_windows) > 20
    assert len(set(run_windows)) == len(run_windows)


@pytest.mark.slow
def test_any_tiles_give_the_same_finished_masks(undisturbed, summer, tmp_path):
    """Shadows are checked and masks cleaned as if there were one tile."""
    finishing = MaskSettings(
        clean={
            "cloud": CleanSettings(open_m=20, min_object_m2=900, dilate_m=60),
            "shadow": CleanSettings(close_m=30),
        },
        shadows=ShadowSettings(add=True, highest_m=500, dark_within_m=100, dark_by=0.02),
    )
    found = []
    for tile_px in (512, 128):
        job = make_job(summer, fresh(tmp_path), tile_px=tile_px, chunk_px=128)
        job = job.replace(mask=finishing, composite=None)
        run.run(job)
        archive = store.open_archive(job.store)
        found.append({name: in_aoi(archive.masks(name), job) for name in archive.sensors})
    whole, cut = found
    _, plain = undisturbed
    for name, masks in whole.items():
        np.testing.assert_array_equal(masks["mask"], cut[name]["mask"])
        unfinished = in_aoi(plain[f"masks/{name}"], job)["mask"]
        assert (masks["mask"].values != unfinished.values).any()


def test_run_twice_is_run_once(undisturbed):
    job, expected = undisturbed
    before, read = store.open_archive(job.store).snapshot, cube.METER.total()
    assert run.plan_job(job).nothing_to_do
    record = run.run(job)
    assert record.snapshot is None
    assert store.open_archive(job.store).snapshot == before
    assert cube.METER.total() == read
    same(contents(job.store), expected)


class Killed(BaseException):
    """Stands for a killed process: nothing catches it."""


@few
@given(st.lists(st.integers(1, 45), min_size=1, max_size=DEATHS))
def test_killed_anywhere_and_finished_is_undisturbed(
    undisturbed, summer, tmp_path, monkeypatch, deaths
):
    """Die at the n-th write, commit or read of the store, each time; then finish."""
    _, expected = undisturbed
    job = make_job(summer, fresh(tmp_path), tile_px=256)
    for death in deaths:
        with monkeypatch.context() as patch:
            steps = itertools.count(1)

            def step(method, steps=steps, death=death):
                def called(self, *args, **kwargs):
                    if next(steps) == death:
                        raise Killed
                    result = method(self, *args, **kwargs)
                    if next(steps) == death:
                        raise Killed
                    return result

                return called

            for name in ("write_mask", "read_mask", "write_composite", "commit", "publish"):
                patch.setattr(store.Writer, name, step(getattr(store.Writer, name)))
            try:
                run.run(job)
            except Killed:
                archive = store.find_archive(job.store)
                if archive is not None and archive.sensors:
                    # Readers see a finished run or none.
                    same(contents(job.store), expected)
    run.run(job)
    same(contents(job.store), expected)


@pytest.mark.slow
def test_a_killed_run_does_not_do_its_tiles_again(summer, tmp_path, monkeypatch):
    job = make_job(summer, fresh(tmp_path), tile_px=256)
    with monkeypatch.context() as patch:
        done = itertools.count(1)
        do_tiles = run.Session.do_tiles

        def dying(self, tiles, **options):
            if next(done) == 3:
                raise Killed
            return do_tiles(self, tiles, **options)

        patch.setattr(run.Session, "do_tiles", dying)
        with pytest.raises(Killed):
            run.run(job)
    record = run.run(job)
    status = {tile.tile: {cell.status for cell in tile.cells} for tile in record.tiles}
    assert [("masked" in states) for states in status.values()] == [False, False, True, True]
    assert record.complete == record.expected


@pytest.mark.slow
def test_a_reprocessed_item_redoes_its_cells_alone(undisturbed, summer, tmp_path, monkeypatch):
    job = make_job(summer, fresh(tmp_path), tile_px=256)
    run.run(job)
    search = run.plan.prepare.search

    def reprocessed(job, **_):
        found = search(job)
        items = [item.clone() for item in found]
        items[0].properties["s2:generation_time"] = "2030-01-01T00:00:00Z"
        return Items(items=tuple(items), dropped=found.dropped)

    monkeypatch.setattr(run.plan.prepare, "search", reprocessed)
    plan = run.plan_job(job)
    changed = [cell for cell in plan.cells if cell.state == "changed"]
    assert changed
    assert {cell.scene.time for cell in changed} == {plan.scenes[0].time}
    assert {each.period.start.month for each in plan.composites if each.state == "changed"} == {
        6
    }
    record = run.execute(plan)
    masked = [c for tile in record.tiles for c in tile.cells if c.status == "masked"]
    assert len(masked) == len(changed)
    # The pixels are the same, since only a date of processing moved.
    found, (_, expected) = contents(job.store), undisturbed
    np.testing.assert_array_equal(
        found["masks/sentinel-2"]["mask"], expected["masks/sentinel-2"]["mask"]
    )


@pytest.mark.slow
def test_a_later_scene_is_added_and_the_rest_stays(undisturbed, summer, tmp_path):
    whole = make_job(summer, fresh(tmp_path), tile_px=256)
    middle = whole.period.start.replace(month=7, day=10)
    early = whole.replace(period=Period(start=whole.period.start, end=middle))
    run.run(early)
    record = run.run(whole)
    done = {c.time for tile in record.tiles for c in tile.cells if c.status == "masked"}
    assert done
    assert all(time >= middle for time in done)
    # July was composed twice: first of what there was until the tenth.
    found, (_, expected) = contents(whole.store), undisturbed
    for name in ("masks/sentinel-2", "masks/landsat", "composites/monthly"):
        for variable in expected[name].data_vars:
            if variable != "source":
                np.testing.assert_array_equal(found[name][variable], expected[name][variable])


@pytest.mark.slow
def test_the_composite_never_invents(undisturbed):
    """Per band, min ≤ value ≤ max of the usable inputs; count 0 ⇔ no data; day and source are true."""
    job, held = undisturbed
    archive = store.open_archive(job.store)
    opened = run.observations(archive, BANDS)
    monthly = held["composites/monthly"]
    masks = {
        (sensor, time): mask
        for sensor in archive.sensors
        for time, mask in zip(
            held[f"masks/{sensor}"]["time"].values,
            held[f"masks/{sensor}"]["mask"].values,
            strict=True,
        )
    }
    for index, period in enumerate(run.plan_job(job).periods):
        made = monthly.isel(time=index)
        seen = opened(period, archive.grid.geobox).compute()
        keys = zip(seen["sensor"].values, seen["time"].values, strict=True)
        usable = is_usable(np.stack([masks[sensor, time] for sensor, time in keys]))
        usable &= np.isfinite(seen[BANDS[0]].values)
        count = usable.sum(axis=0)
        np.testing.assert_array_equal(made["count"], count)
        any_usable = count > 0
        assert any_usable.any()
        for band in BANDS:
            values = np.where(usable, seen[band].values, np.nan)
            value = made[band].values
            np.testing.assert_array_equal(np.isfinite(value), any_usable)
            # Stored in steps of 1e-4.
            low = np.nanmin(values[:, any_usable], axis=0) - 0.51e-4
            high = np.nanmax(values[:, any_usable], axis=0) + 0.51e-4
            assert ((low <= value[any_usable]) & (value[any_usable] <= high)).all()
        days = seen["time"].values.astype("datetime64[D]").astype(int)
        matches = (days[:, None, None] == made["day"].values) & usable
        matches &= seen["source"].values == made["source"].values
        assert (matches.any(axis=0) == any_usable).all()
        assert (made["day"].values[~any_usable] == -1).all()
        assert (made["source"].values[~any_usable] == -1).all()


def test_no_data_is_told_from_what_was_never_covered(undisturbed):
    job, held = undisturbed
    masks = held["masks/sentinel-2"]
    touched = {(tile.row, tile.col) for tile in run.plan_job(job).tiles}
    made = (masks["fingerprint"] != NEVER).all("time")
    assert {tuple(cell) for cell in np.argwhere(made.values)} == touched
    counts = masks["histogram"].sum("class")
    assert (counts == 256 * 256 * made).all()
    uncovered = masks["fingerprint"] == UNCOVERED
    only_no_data = masks["histogram"].isel({"class": int(Code.NO_DATA)}) == counts
    assert (only_no_data | ~uncovered).all()


def test_a_run_pointed_at_the_saved_items_is_the_same_run(undisturbed, tmp_path):
    """What `cloudmask plan --items` saves needs no catalogue, and gives the same plan."""
    job, _ = undisturbed
    plan, saved = run.plan_job(job), tmp_path / "items.json"
    save_items(plan.items, saved)
    again = run.plan_job(job.replace(sources=(Source(catalog=str(saved)),)))
    assert again.key == plan.key
    assert again.nothing_to_do
