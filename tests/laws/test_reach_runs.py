"""Laws of runs whose composites need masks beyond their tile: distances to clouds do not end where tiles do."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.geometry import box

from pipeline import cube, run, store
from pipeline.composite import cloud_distances
from pipeline.errors import AssetError
from pipeline.run.tile import task as tasks
from pipeline.run.why import why
from pipeline.types import Code, CompositeSettings, GridSettings, RunSettings
from tests.faults.small_region import WEST, copy_of, provide
from tests.laws.conftest import make_job
from tests.laws.test_runs import Killed, fresh, in_aoi
from tests.laws.test_why import assert_told, lonlat

BANDS = ("blue", "red")
METHODS = {
    "griffiths": ("best", {"preset": "griffiths2013", "cloud_m": 400.0}),
    "white": ("best", {"preset": "white2014", "sensors": {"landsat": 0.5}}),
    "force": ("best", {}),
    "wasp": ("weighted_mean", {}),
    "plain": ("median", {}),
    "hardly": ("best", {"cloud_m": 5.0}),
}
QUICK = ("griffiths", "wasp", "plain", "hardly")
few = settings(
    max_examples=max(1, settings().max_examples // 100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
counter = itertools.count()

pytestmark = pytest.mark.usefixtures("threshold")


def composites(*names, period="month"):
    return tuple(
        CompositeSettings(name=name, method=method, options=given, period=period, bands=BANDS)
        for name, (method, given) in METHODS.items()
        if name in names
    )


def job_of(region, *names, cut=(64, 2), workers=2, **parts):
    chunk, chunks_a_tile = cut
    return region.job(
        composite=None,
        composites=composites(*names),
        grid=GridSettings(resolution_m=10.0, tile_px=chunk * chunks_a_tile, chunk_px=chunk),
        run=RunSettings(min_completeness=0.5, workers=workers),
        **parts,
    )


def composed(job):
    """Return the composites in the AOI, with the names of items instead of their positions."""
    archive = store.open_archive(job.store)
    ids, found = np.array([*archive.item_ids, ""]), {}
    for name in archive.composite_names:
        made = in_aoi(archive.composite(name).load(), job)
        found[name] = made.assign(source=made["source"].copy(data=ids[made["source"].values]))
    return found


def assert_alike(found, expected):
    assert found.keys() == expected.keys()
    for name, made in expected.items():
        for variable in made.data_vars:
            np.testing.assert_array_equal(
                found[name][variable], made[variable], err_msg=f"{name} {variable}"
            )


@pytest.fixture(scope="module")
def whole(pristine, tmp_path_factory):
    """Return what one tile of all the region gives."""
    region = copy_of(pristine, tmp_path_factory.mktemp("whole"))
    with pytest.MonkeyPatch.context() as patch:
        provide(patch)
        job = job_of(region, *QUICK, cut=(512, 1))
        assert len(run.plan_job(job).tiles) == 1
        run.run(job)
    return composed(job)


@few
@given(st.sampled_from([(64, 3), (64, 2), (128, 1), (128, 2)]), st.sampled_from([2, 1, 3]))
def test_any_partition_gives_the_same_pixels_once(whole, region, tmp_path, cut, workers):
    where = str(tmp_path / f"store{next(counter)}")
    job = job_of(region, *QUICK, cut=cut, workers=workers, store=where)
    run.run(job)
    assert_alike(composed(job), whole)
    read = cube.METER.total()
    assert run.plan_job(job).nothing_to_do
    assert run.run(job).snapshot is None
    assert cube.METER.total() == read


@pytest.mark.slow
def test_clouds_of_other_tiles_count(whole, region, monkeypatch):
    """The law is not empty: without the masks around a tile its composites are others."""
    near = tasks.tiles_near
    monkeypatch.setattr(tasks, "tiles_near", lambda *asked: near(*asked)[:1])
    job = job_of(region, *QUICK, cut=(64, 2))
    run.run(job)
    found = composed(job)
    for name, expected in whole.items():
        alike = found[name].drop_vars("source").equals(expected.drop_vars("source"))
        assert alike == (name in ("plain", "hardly")), name


def test_scores_are_of_the_clouds_of_the_whole_region(region):
    """Against masks read from the store as one array: distance in the formula of Griffiths 2013."""
    settings = CompositeSettings(
        name="alone",
        method="best",
        options={"weights": {"cloud": 1}, "cloud_m": 400.0},
        period="month",
        bands=BANDS,
    )
    job = region.job(composite=settings)
    run.run(job)
    archive = store.open_archive(job.store)
    made = archive.composite("alone").load()
    best = np.full(made["score"].shape, -np.inf)
    for sensor in archive.sensors:
        masks = archive.masks(sensor).load()
        everywhere = (slice(None), slice(None))
        away = cloud_distances(masks["mask"].drop_vars("time"), everywhere, 10.0, 400.0)
        metres = np.minimum(away["to_cloud_m"], away["to_shadow_m"]).values
        score = 1 / (1 + np.exp(-10 / 400 * (np.minimum(metres, 400) - 200)))
        months = masks["time"].dt.month.values
        for step, month in enumerate(made["time"].dt.month.values):
            for at in np.flatnonzero(months == month):
                clear = masks["mask"].values[at] == Code.CLEAR
                best[step] = np.where(clear, np.maximum(best[step], score[at]), best[step])
    seen = made["count"].values > 0
    assert 0 < (best[seen] < 0.9).mean() < 1
    np.testing.assert_allclose(made["score"].values[seen], best[seen], atol=1e-6)


@pytest.mark.slow
@few
@given(deaths=st.lists(st.integers(1, 60), min_size=1, max_size=2))
def test_killed_anywhere_and_finished_is_undisturbed(pristine, tmp_path_factory, deaths):
    """Die at the n-th write, read or commit of the store, in the masks of all tiles or in their composites."""
    region = copy_of(pristine, tmp_path_factory.mktemp("killed"))
    job = job_of(region, "griffiths", "plain")
    for death in deaths:
        with pytest.MonkeyPatch.context() as patch:
            steps = itertools.count(1)
            for method in ("write_mask", "read_mask", "write_composite", "commit", "publish"):
                patch.setattr(store.Writer, method, dying(method, steps, death))
            try:
                run.run(job)
                break
            except Killed:
                archive = store.find_archive(job.store)
                # Readers see nothing of it.
                assert archive is None or not archive.sensors
    run.run(job)
    assert run.plan_job(job).nothing_to_do
    other = job_of(region, "griffiths", "plain", store=str(region.folder / "other"))
    run.run(other)
    assert_alike(composed(job), composed(other))


def dying(method, steps, death):
    alive = getattr(store.Writer, method)

    def called(self, *args, **kwargs):
        if next(steps) == death:
            raise Killed
        return alive(self, *args, **kwargs)

    return called


def test_all_tiles_are_masked_before_the_first_is_composed(region, monkeypatch):
    seen = []
    for method in ("write_mask", "write_composite"):
        alive = getattr(store.Writer, method)

        def called(self, *args, alive=alive, method=method, **kwargs):
            seen.append(method)
            return alive(self, *args, **kwargs)

        monkeypatch.setattr(store.Writer, method, called)
    run.run(job_of(region, "griffiths", "plain"))
    kinds = [name for name, _ in itertools.groupby(seen)]
    assert kinds == ["write_mask", "write_composite"]
    # A job that needs no neighbours does its tiles one by one, as ever.
    seen.clear()
    run.run(job_of(region, "plain", store=str(region.folder / "other")))
    assert len([name for name, _ in itertools.groupby(seen)]) > 2


@pytest.mark.slow
def test_masks_made_as_far_as_composites_look_are_all_that_they_need(region):
    """As the flow `mask` makes them, of a job whose composites are made later."""
    job = job_of(region, "griffiths", "plain", cut=(64, 1))
    alone = job.replace(composites=())
    run.execute(run.plan_job(alone, beyond_m=run.job_reach_m(job)))
    plan = run.plan_job(job)
    assert not plan.cells_to_mask
    # The law is not empty: the job looks at tiles that the AOI does not touch.
    assert len(plan.tiles) > len(run.plan_job(alone).tiles)


def test_masks_for_composites_that_look_around_a_field_are_on_their_grid(region):
    job = job_of(region, "griffiths", cut=(256, 1), aoi=box(11.65, 48.225, 11.655, 48.228))
    alone = job.replace(composites=())
    grid = run.plan_job(job).grid
    assert run.plan_job(alone, beyond_m=run.job_reach_m(job)).grid == grid
    assert run.plan_job(alone).grid != grid


def test_a_new_mask_makes_the_composites_around_it_again(region):
    job = job_of(region, "griffiths", "plain")
    run.run(job)
    region.edit(
        WEST,
        lambda item: item["properties"].update({"s2:generation_time": "2030-01-01T00:00:00Z"}),
    )
    plan = run.plan_job(job)
    masked = {cell.tile.name for cell in plan.cells if cell.state == "changed"}
    changed = {
        view.job.composite.name: {
            each.tile.name for each in view.composites if each.state == "changed"
        }
        for view in plan.views
    }
    assert changed["plain"] == masked
    assert changed["griffiths"] > masked
    before = fingerprints(job)
    run.execute(plan)
    moved = fingerprints(job) != before
    june = {(each.row, each.col) for each in plan.tiles if each.name in changed["griffiths"]}
    assert {tuple(each[1:]) for each in np.argwhere(moved).tolist()} == june
    assert run.plan_job(job).nothing_to_do


def fingerprints(job):
    made = store.open_archive(job.store).composite_fingerprints("griffiths")
    return np.stack([made[start] for start in sorted(made)])


@pytest.mark.slow
def test_a_raster_that_cannot_be_read_costs_its_tile_and_the_run_goes_on(region):
    """What is unreadable in one tile is no cloud in the next; mended, it is made again, and that around it."""
    whole = region.truncate(WEST)
    job = job_of(region, "griffiths")
    record = run.run(job)
    assert any(each.item_id == WEST for each in record.dropped)
    # What a tile has dropped is told once.
    assert len({(e.item_id, e.tile) for e in record.dropped}) == len(record.dropped)
    region.asset(WEST, "blue").write_bytes(whole)
    run.run(job)
    assert run.plan_job(job).nothing_to_do
    other = job_of(region, "griffiths", store=str(region.folder / "other"))
    run.run(other)
    assert_alike(composed(job), composed(other))


@pytest.mark.slow
def test_nothing_is_published_where_masks_fail(region, monkeypatch):
    region.truncate(WEST)
    job = job_of(region, "griffiths").replace(cube={"unreadable": "fail"})
    with pytest.raises(AssetError):
        run.run(job)
    archive = store.find_archive(job.store)
    assert archive is None or not archive.composite_names


@pytest.mark.slow
def test_why_measures_as_the_run_did(region):
    job = job_of(region, "griffiths", "white")
    run.run(job)
    archive = store.open_archive(job.store)
    for name in archive.composite_names:
        made = archive.composite(name).load()
        for period in archive.periods(name):
            one = made.sel(time=np.datetime64(period.start.replace(tzinfo=None)))
            # At the edge of a tile, and in the middle of one.
            for y, x in ((40, 128), (40, 127), (20, 60)):
                found = why(archive, lonlat(archive, y, x), period, name)
                assert_told(archive, found, one.isel(y=y, x=x), BANDS)


@pytest.mark.slow
def test_any_tiles_of_masks_with_wide_windows_give_the_same_composites(
    summer, tmp_path, window_model
):
    found = []
    for tile_px, chunk_px in ((1024, 256), (192, 64), (256, 256)):
        job = make_job(summer, fresh(tmp_path), tile_px=tile_px, chunk_px=chunk_px)
        job = job.replace(composite=None, composites=composites(*METHODS, period="season"))
        run.run(job)
        found.append(composed(job))
    for cut in found[1:]:
        assert_alike(cut, found[0])
