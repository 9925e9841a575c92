"""The record of a run: the manifest, what was counted, money, metrics, and what a failed run leaves."""

import dataclasses
import http.server
import json
import math
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from pipeline import cube, run, store
from pipeline.access import RetryPolicy
from pipeline.catalogs import CATALOGS
from pipeline.cli import app
from pipeline.config.settings import Prices
from pipeline.cost import METER, Meter
from pipeline.cube import meter as cube_meter
from pipeline.errors import ConfigError, IncompleteError, StoreError
from pipeline.mask import queue
from pipeline.run.common.clock import measured, unmeasured
from pipeline.run.record import cost, metrics
from pipeline.run.record.manifest import manifest
from pipeline.run.record.record import doubtful, shortfall
from pipeline.search import RequestLimits
from pipeline.search.web import CatalogIO
from pipeline.store.versions.failed_runs import failed_records
from pipeline.testing import ThresholdModel
from pipeline.types import Cost, Period
from pipeline.types.manifest import manifest_rows
from pipeline.types.record import Bill, CellReceipt, TileReceipt
from tests.faults import small_region as small

EAST, WEST = small.EAST, small.WEST
HOST = Path(__file__).parents[1] / "access" / "raster_server.py"


@pytest.fixture(autouse=True)
def _environment(monkeypatch, threshold):
    """Every run masks with the threshold, and no setting of this machine counts."""
    for name in ("PRICES", "METRICS_FOLDER"):
        monkeypatch.delenv(f"CLOUDMASK_{name}", raising=False)


def cloudmask(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def runs(region, *options):
    result = cloudmask("runs", region.store, "--json", *options)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def break_all(region):
    for path in region.archive.glob("sentinel-2-l2a/*/*.tif"):
        path.write_bytes(b"rubbish")


def reprocess(region, *items):
    """Give items a later processing baseline, so that their cells have changed."""
    for item in items:
        region.edit(
            item, lambda each: each["properties"].update({"s2:processing_baseline": "99.99"})
        )


@contextmanager
def stopped_after_a_tile(error):
    """Let runs end with an error at their second tile."""
    do_tiles, done = run.Session.do_tiles, []

    def stopping(self, tiles, **options):
        if done:
            raise error
        done.extend(tiles)
        return do_tiles(self, tiles, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run.Session, "do_tiles", stopping)
        with pytest.raises(type(error)):
            yield


# -- the manifest ------------------------------------------------------------------------------


def check_against_the_plan(plan, record):
    """The manifest counts cells by tile and period, the plan has them in a table: both come to the same."""
    covered = {*map(tuple, np.argwhere(plan.cells.covered).tolist())}
    expected = len(covered | {(tile, number) for _, number, tile in plan.missed.T.tolist()})
    assert record.expected == sum(row.cells for row in record.manifest) == expected
    assert record.complete == sum(row.complete for row in record.manifest)


def test_the_manifest_lists_the_items_of_every_tile_and_period(region, plain_run):
    plan = run.plan_job(region.job())
    _, record = plain_run
    check_against_the_plan(plan, record)
    rows = manifest_rows(json.loads(json.dumps(record.to_dict())))
    assert [(row["tile"], row["period"]) for row in rows] == [
        (tile, period)
        for tile in ("r000c000", "r000c001")
        for period in ("2023-06-01/2023-07-01", "2023-07-01/2023-08-01")
    ]
    june = {row["tile"]: row for row in rows if row["period"].startswith("2023-06")}
    assert june["r000c000"]["expected"] == june["r000c000"]["used"]
    assert {EAST, WEST} <= set(june["r000c000"]["expected"])
    assert EAST in june["r000c001"]["used"]
    assert WEST not in june["r000c001"]["expected"]
    assert all(row["cells"] == row["complete"] and not row["dropped"] for row in rows)


def test_an_item_that_cannot_be_read_is_dropped_in_the_manifest(region):
    region.truncate(EAST)
    plan = run.plan_job(region.job())
    record = run.execute(plan)
    check_against_the_plan(plan, record)
    (east,) = [
        row
        for row in manifest_rows(record.to_dict())
        if row["tile"] == "r000c001" and row["period"].startswith("2023-06")
    ]
    assert list(east["dropped"]) == [EAST]
    assert "asset 'blue' cannot be read" in east["dropped"][EAST]
    assert EAST in east["expected"]
    assert EAST not in east["used"]
    # It is the only one of its day there, and the day beside it is whole.
    assert (east["cells"] - east["complete"], east["unreadable"]) == (1, 1)


def test_an_item_dropped_at_the_search_is_expected(region):
    region.edit(EAST, lambda document: document["assets"].pop("blue"))
    plan = run.plan_job(region.job())
    assert [item.id for item in plan.items.missed] == [EAST]
    record = run.execute(plan)
    check_against_the_plan(plan, record)
    lacking = [row for row in manifest_rows(record.to_dict()) if row["dropped"]]
    assert {row["tile"] for row in lacking} == {"r000c000", "r000c001"}
    assert all("no asset for blue" in row["dropped"][EAST] for row in lacking)
    # The other product of the day stands in its tile, but the cell is not complete.
    assert [row["cells"] - row["complete"] for row in lacking] == [1, 1]


def test_a_second_run_lists_all_tiles_and_only_its_own_cells(ran):
    reprocess(ran, WEST)
    plan = run.plan_job(ran.job())
    assert [tile.name for tile in plan.tiles_to_do] == ["r000c000"]
    record = run.execute(plan)
    check_against_the_plan(plan, record)
    assert {row.tile for row in record.manifest} == {"r000c000", "r000c001"}
    (tile,) = record.to_dict()["tiles"]
    assert [cell["status"] for cell in tile["cells"]] == ["masked"]
    assert {cell.status for cell in record.tiles[0].cells} == {"masked", "unchanged"}


def test_masked_cells_count_their_classes_as_the_store_does(plain_run):
    region, record = plain_run
    cells = [cell for tile in record.tiles for cell in tile.cells]
    archive = store.open_archive(str(region.store))
    for cell in cells:
        masks = archive.stored_masks(cell.sensor)
        at = [scene.time for scene in masks.scenes].index(cell.time)
        counts = masks.histograms(int(cell.tile[1:4]), int(cell.tile[5:8]))[at]
        found = counts[1:].sum(), counts[[4, 5]].sum(), counts[6]
        assert (cell.data, cell.cloud, cell.shadow) == found
    assert any(cell.cloud for cell in cells)


def cell(tile, hour, data, cloud=0, shadow=0):
    return CellReceipt(
        sensor="s2",
        time=datetime(2023, 6, 1, hour, tzinfo=UTC),
        tile=tile,
        status="masked",
        fingerprint=1,
        items=(),
        data=data,
        cloud=cloud,
        shadow=shadow,
    )


@pytest.mark.parametrize(("shadow", "hours"), [(60, []), (61, [11])])
def test_scenes_in_doubt_are_judged_over_all_their_tiles(shadow, hours):
    tiles = [
        TileReceipt(tile="a", cells=(cell("a", 10, 500, 50, 150), cell("a", 11, 500))),
        TileReceipt(tile="b", cells=(cell("b", 10, 500), cell("b", 11, 500, 10, shadow))),
    ]
    assert [each.time.hour for each in doubtful(tiles)] == hours


def test_without_composites_there_is_one_period(region):
    plan = run.plan_job(region.job(composite=None))
    rows = manifest(plan, ())
    assert {row.period for row in rows} == {"2023-06-01/2023-07-21"}
    assert sum(row.cells for row in rows) == 6


def test_the_record_has_the_dates_that_were_searched(region):
    job = region.job(composite=None).replace(
        period=Period(
            start=datetime(2023, 1, 1, tzinfo=UTC), end=datetime(2100, 1, 1, tzinfo=UTC)
        ),
    )
    record = run.run(job)
    (found,) = store.open_archive(str(region.store)).searched()
    assert found.start == job.period.start
    # A run knows nothing of days to come.
    assert found.end == record.started
    assert found.area.equals(job.aoi)
    # Of a local catalogue every collection is looked at.
    assert found.sensors == ()
    assert not found.filtered


def test_the_record_has_the_sensors_that_were_searched(region):
    job = region.job(composite=None)
    (source,) = job.sources
    narrow = source.replace(
        collections=("sentinel-2-l2a",), query={"eo:cloud_cover": {"lt": 101}}
    )
    searched = run.run(job.replace(sources=(narrow,))).searched
    assert searched is not None
    assert (searched.sensors, searched.filtered) == (("sentinel-2",), True)


def test_a_record_of_a_version_without_manifests_has_no_rows():
    assert manifest_rows({"items": ["a"], "dropped": [], "tiles": []}) == []


# -- what is counted ---------------------------------------------------------------------------

amounts = st.integers(0, 10**9)
costs = st.builds(
    Cost,
    bytes_read=amounts,
    reads=amounts,
    requests=amounts | st.none(),
    bytes_fetched=amounts | st.none(),
)


@given(costs, costs, costs)
def test_costs_add_up_in_any_order(one, two, three):
    assert one + two == two + one
    assert (one + two) + three == one + (two + three)
    assert one + Cost() == one
    if None not in (two.requests, two.bytes_fetched):
        assert (one + two) - two == one


def test_a_meter_loses_nothing_to_threads():
    meter = Meter()
    threads = [
        threading.Thread(
            target=lambda: [meter.add(Cost(reads=1, requests=2)) for _ in range(500)]
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (meter.total().reads, meter.total().requests) == (2000, 4000)


def test_stages_at_the_same_time_count_nothing_twice():
    """Two stages overlap; what happens outside of them is found, and the whole is what was added."""
    before = METER.total().reads
    unmeasured()
    stages, inside = {}, threading.Barrier(2)

    def work(name):
        with measured(stages, name):
            inside.wait()
            for _ in range(100):
                METER.add(Cost(reads=1))

    METER.add(Cost(reads=7))
    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    METER.add(Cost(reads=5))
    rest = unmeasured()
    assert rest.reads == 12
    assert sum(each.reads for each in stages.values()) == 200
    assert METER.total().reads - before == 212


def test_the_cost_of_a_stage_that_fails_is_counted_as_unmeasured():
    unmeasured()
    stages = {}

    def fail():
        with measured(stages, "mask"):
            METER.add(Cost(reads=3))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert stages == {}
    assert unmeasured().reads == 3
    assert unmeasured().reads == 0


def test_cpu_and_wall_time_differ():
    stages = {}
    with measured(stages, "sleep"):
        time.sleep(0.2)
    with measured(stages, "work"):
        begun = time.process_time()
        while time.process_time() - begun < 0.2:
            math.factorial(200)
    assert stages["sleep"].seconds >= 0.2
    assert stages["sleep"].cpu_seconds < 0.15
    assert stages["work"].cpu_seconds >= 0.2


@pytest.fixture
def host(tmp_path):
    """A host of rasters in a process of its own; returns its address and what it was asked."""
    log, port = tmp_path / "log", tmp_path / "port"
    process = subprocess.Popen([sys.executable, HOST, log, port])
    try:
        until = time.monotonic() + 30
        while not (port.exists() and port.read_text()):
            assert time.monotonic() < until
            time.sleep(0.05)
        yield SimpleNamespace(
            url=f"http://127.0.0.1:{port.read_text()}",
            asked=lambda: [json.loads(line) for line in log.read_text().splitlines()],
        )
    finally:
        process.kill()
        process.wait()


def read_from(host, names):
    """Read rasters from a host and return what that cost; the meter is asked after each."""
    before = cube.METER.total()
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
        for name in names:
            with rasterio.open(f"/vsicurl/{host.url}/{name}.tif") as raster:
                assert (raster.read(1) == 7).all()
            cube.METER.total()
    return cube.METER.total() - before


def test_requests_and_bytes_are_those_that_the_host_answered(host):
    spent = read_from(host, "abc")
    asked = host.asked()
    assert len(asked) >= 3
    assert spent.requests == len(asked)
    ranges = [headers["Range"][6:].split("-") for _, _, headers in asked if "Range" in headers]
    assert ranges
    assert spent.bytes_fetched == sum(int(last) - int(first) + 1 for first, last in ranges)


def test_requests_are_counted_when_gdal_s_numbers_are_reset(host, monkeypatch):
    """GDAL keeps numbers of every file, so that the meter resets it; nothing is lost by that."""
    monkeypatch.setattr(cube_meter, "FORGET_BYTES", 10)
    assert read_from(host, "de").requests == len(host.asked())


def test_requests_that_gdal_cannot_count_are_unknown_and_not_zero(monkeypatch):
    monkeypatch.setattr(cube_meter, "_library", lambda: None)
    stages = {}
    with measured(stages, "mask"):
        METER.add(Cost(reads=1))
    assert (stages["mask"].reads, stages["mask"].requests) == (1, None)
    assert (Cost(requests=3) + stages["mask"]).requests is None


def test_requests_to_catalogues_are_counted():
    class Catalogue(http.server.BaseHTTPRequestHandler):
        failing = True

        def do_GET(self):
            status, type(self).failing = (503 if self.failing else 200), False
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Catalogue)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"
        catalog = dataclasses.replace(next(iter(CATALOGS.values())), url=url)
        io = CatalogIO(
            "here", catalog, limits=RequestLimits(retry=RetryPolicy(first_wait_s=0.001))
        )
        before = METER.total().requests
        assert io.read_json(url) == {}
        io.session.close()
        # The one that failed was a request, too.
        assert METER.total().requests - before == 2
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_seconds_of_a_gpu_are_those_inside_the_model(monkeypatch, batch, device):
    model = ThresholdModel(batch=batch)
    card = dataclasses.replace(model.card, options={"device": device}, batch=batch)
    slow = SimpleModel(card, model)
    window = np.zeros((len(card.roles), card.lattice.window_px, card.lattice.window_px), "f4")
    before = METER.total()
    queue.predict(slow, [window, window])
    spent = (METER.total() - before).device_seconds
    calls = 2 if batch == 1 else 1
    assert slow.calls == calls
    assert 0.05 * calls <= spent < 1 if device == "cuda" else spent == 0


class SimpleModel:
    def __init__(self, card, model):
        self.card, self._model, self.calls = card, model, 0

    def predict(self, windows):
        self.calls += 1
        time.sleep(0.05)
        return self._model.predict(windows)


def test_a_run_records_the_cost_of_each_stage(plain_run):
    _, record = plain_run
    assert {"plan", "mask", "composite", "other"} <= set(record.stages)
    stages = record.stages.values()
    took = (record.finished - record.started).total_seconds()
    # Without planning, which comes before the start.
    assert sum(c.seconds for n, c in record.stages.items() if n != "plan") == pytest.approx(
        took, abs=0.5
    )
    assert record.stages["mask"].reads > 0
    assert record.stages["mask"].bytes_read > 0
    # Files of this machine cost no request.
    assert sum(each.requests for each in stages) == 0
    assert sum(each.device_seconds for each in stages) == 0


# -- ground and money --------------------------------------------------------------------------


def test_ground_is_that_of_the_tiles_worked_on(plain_run, ran):
    _, record = plain_run
    assert (record.expected, record.area_km2) == (6, pytest.approx(2 * 1.28**2, rel=0.5))
    plan = run.plan_job(ran.job())
    sizes = {t.name: math.prod(t.geobox.shape) * 100 / 1e6 for t in plan.tiles}
    assert record.area_km2 == pytest.approx(sum(sizes.values()))
    masked = [c.tile for tile in record.tiles for c in tile.cells if c.status == "masked"]
    assert len(masked) == 6
    assert record.scene_km2 == pytest.approx(sum(sizes[name] for name in masked))
    nothing = run.run(ran.job())
    assert (nothing.area_km2, nothing.scene_km2, nothing.outcome) == (0, 0, "unchanged")


PRICES = Prices(currency="EUR", cpu_hour=0.04, gpu_hour=3, gb_read=0.09, thousand_requests=0.4)
SPENT = Cost(
    cpu_seconds=7200, device_seconds=600, bytes_fetched=10 * 10**9, requests=5000, bytes_read=1
)


def test_a_bill_is_quantities_times_prices():
    made = cost.bill(PRICES, SPENT, (2000.0, 20_000.0))
    assert made.parts == pytest.approx({"cpu": 0.08, "gpu": 0.5, "read": 0.9, "requests": 2.0})
    assert made.total == pytest.approx(3.48)
    assert (made.per_1000_km2, made.per_1000_scene_km2) == pytest.approx((1.74, 0.174))
    assert made.stored_a_month is None


def test_what_is_not_known_or_has_no_price_is_not_billed():
    assert cost.bill(None, SPENT, (1, 1)) is None
    unknown = dataclasses.replace(SPENT, requests=None, bytes_fetched=None)
    made = cost.bill(PRICES, unknown, (0.0, 0.0), bytes_stored=10**9)
    assert set(made.parts) == {"cpu", "gpu"}
    assert (made.per_1000_km2, made.stored_a_month) == (None, None)
    kept = Prices(currency="USD", gb_month_stored=0.023)
    made = cost.bill(kept, SPENT, (1, 1), bytes_stored=2 * 10**12)
    assert (made.total, made.parts) == (0, {})
    assert made.stored_a_month == pytest.approx(46)


@pytest.mark.slow
def test_prices_from_the_environment_make_a_bill_in_the_record_and_the_list(
    region, monkeypatch
):
    monkeypatch.setenv("CLOUDMASK_PRICES__CURRENCY", "EUR")
    monkeypatch.setenv("CLOUDMASK_PRICES__CPU_HOUR", "3600")
    record = run.run(region.job())
    assert isinstance(record.bill, Bill)
    spent = sum(each.cpu_seconds for each in record.stages.values())
    assert record.bill.total == pytest.approx(spent)
    assert record.bill.per_1000_km2 == pytest.approx(1000 * spent / record.area_km2)
    (told,) = runs(region)
    assert told["bill"]["currency"] == "EUR"
    shown = cloudmask("runs", region.store, "--run", record.run_id).stdout
    assert f"{told['bill']['total']:.2f} EUR" in shown
    monkeypatch.delenv("CLOUDMASK_PRICES__CURRENCY")
    with pytest.raises(ConfigError, match="CLOUDMASK_PRICES__CURRENCY"):
        run.run(region.job())


def test_the_store_is_measured_if_storage_has_a_price(plain_run, ran, monkeypatch):
    _, first = plain_run
    assert first.bytes_stored is None
    monkeypatch.setenv("CLOUDMASK_PRICES", '{"currency": "EUR", "gb_month_stored": 1000}')
    ran.truncate(EAST)
    reprocess(ran, EAST)
    record = run.run(ran.job())
    # Chunks of this run and of the one before, which can still be read.
    on_disk = sum(path.stat().st_size for path in (ran.store / "chunks").iterdir())
    assert 0.9 * on_disk < record.bytes_stored <= on_disk
    assert record.bill.stored_a_month == pytest.approx(record.bytes_stored / 1e6)
    assert record.bill.total == 0


# -- a run that fails --------------------------------------------------------------------------


def test_a_run_below_the_threshold_fails_and_leaves_its_record(ran):
    """By the command line: exit code, nothing published, and the failed run is listed."""
    path = ran.job_file()
    options = ("--plain", "--no-report", "--quiet")
    before, published = small.snapshot(ran), small.contents(ran)
    break_all(ran)
    reprocess(ran, *(item.stem for item in ran.archive.glob("sentinel-2-l2a/*/*.json")))
    ended = cloudmask("run", path, *options)
    small.refused(ended, 7, "only 2 of 6 cells (33.3%)", "nothing is published")
    assert small.snapshot(ran) == before
    small.assert_same(small.contents(ran), published)
    assert len(store.open_archive(str(ran.store)).records()) == 1

    failed, good = runs(ran)
    assert (failed["outcome"], good["outcome"]) == ("failed", "published")
    assert failed["failure"].startswith("only 2 of 6 cells")
    assert failed["snapshot"] is None
    assert (failed["complete"], failed["expected"]) == (2, 6)
    assert {EAST, WEST} <= {name for row in failed["manifest"] for name in row["dropped"]}
    assert sum(row["unreadable"] for row in failed["manifest"]) == 4
    assert sum(cost["reads"] for cost in failed["stages"].values()) > 0
    table = cloudmask("runs", ran.store).stdout
    assert "failed" in table
    assert "2/6" in table
    alone = cloudmask("runs", ran.store, "--run", failed["run_id"]).stdout
    assert alone.count("only 2 of 6 cells") == 1
    assert "cannot be read" in alone

    # It outlives old states, and does not keep them from expiring.
    store.expire(str(ran.store), datetime.now(UTC) + timedelta(days=1))
    assert [each["run_id"] for each in failed_records(str(ran.store))] == [failed["run_id"]]
    small.assert_same(small.contents(ran), published)


def test_in_a_failed_run_tiles_that_were_not_done_are_incomplete(region):
    with stopped_after_a_tile(StoreError("the disk is full")):
        run.run(region.job())
    (failed,) = runs(region)
    plan = run.plan_job(region.job())
    first = int(plan.cells.covered[0].sum())
    assert len(plan.tiles) == 2
    assert (failed["complete"], failed["expected"]) == (first, int(plan.cells.covered.sum()))
    listed = cloudmask("runs", region.store).stdout
    assert listed.count("the disk is full") == 1
    assert (
        cloudmask("runs", region.store, "--run", failed["run_id"]).stdout.count("is full") == 1
    )


def counted(plan, state):
    return sum(each.get(state, 0) for each in plan.counts().values())


def test_a_plan_counts_what_a_killed_run_has_left(region):
    whole = run.plan_job(region.job())
    with stopped_after_a_tile(KeyboardInterrupt()):
        run.run(region.job())
    plan = run.plan_job(region.job())
    left = int(whole.cells.covered[0].sum())
    assert plan.n_begun == left > 0
    assert counted(plan, "unchanged") == left
    assert counted(plan, "new") == counted(whole, "new") - left
    assert plan.bytes_to_read < whole.bytes_to_read
    assert not plan.nothing_to_do
    reasons = [row["reason"] for row in plan.rows() if row["state"] == "unchanged"]
    assert reasons == ["on the unfinished branch of this job"] * left
    printed = cloudmask("plan", region.job_file()).stdout
    assert (
        f"{left} cells are on the unfinished branch of this job and will not be done" in printed
    )
    run.run(region.job())
    assert run.plan_job(region.job()).n_begun == 0


def test_a_run_with_nothing_to_do_makes_a_missing_report(ran):
    """The run had published; its next start has nothing to do but that."""
    path, report = ran.job_file(), ran.store.parent / "report.html"
    options = ("--plain", "--report", report)
    again = cloudmask("run", path, *options)
    assert again.exit_code == 0, again.output
    assert "report:" in again.stderr
    assert store.open_archive(str(ran.store)).records()[-1]["run_id"] in report.read_text()
    made = report.stat().st_mtime_ns
    assert "report:" not in cloudmask("run", path, *options).stderr
    assert report.stat().st_mtime_ns == made


def test_the_first_run_may_fail_too(region):
    break_all(region)
    with pytest.raises(IncompleteError):
        run.run(region.job())
    with pytest.raises(IncompleteError):
        run.run(region.job())
    assert store.open_archive(str(region.store)).sensors == ()
    assert [each["outcome"] for each in runs(region)] == ["failed", "failed"]


def test_the_threshold_is_a_share_of_what_is_expected(region):
    region.truncate(EAST)
    record = run.run(region.job())
    assert (record.complete, record.expected) == (4, 6)
    assert shortfall(record, 4 / 6) is None
    assert "only 4 of 6 cells (66.7%)" in shortfall(record, 0.67)
    assert shortfall(dataclasses.replace(record, expected=0, complete=0), 1.0) is None


# -- metrics -----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    made = tmp_path / "textfiles"
    made.mkdir()
    monkeypatch.setenv("CLOUDMASK_METRICS_FOLDER", str(made))
    return made


def gauges(path):
    families = text_string_to_metric_families(path.read_text())
    return {
        (
            sample.name.removeprefix("cloudmask_last_"),
            *sorted(sample.labels.items()),
        ): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_textfile_has_the_numbers_of_the_record(region, folder):
    record = run.run(region.job())
    (path,) = folder.iterdir()
    assert path.name == "cloudmask_region.prom"
    found = gauges(path)
    job = ("job", "region")
    assert found["run_cells_expected", job] == record.expected == 6
    assert found["run_cells_done", job, ("status", "masked")] == 6
    assert found["run_failed", job] == 0
    assert found["run_area_km2", job] == pytest.approx(record.area_km2)
    mask = record.stages["mask"]
    assert found["run_read_windows", job, ("stage", "mask")] == mask.reads
    assert found["run_cpu_seconds", job, ("stage", "mask")] == pytest.approx(mask.cpu_seconds)
    assert found["success_timestamp_seconds", job] == pytest.approx(record.finished.timestamp())


def test_a_failed_run_leaves_the_time_of_the_last_good_one(region, folder):
    good = run.run(region.job()).finished.timestamp()
    break_all(region)
    reprocess(region, EAST, WEST)
    with pytest.raises(IncompleteError):
        run.run(region.job(min_completeness=0.9))
    found = gauges(folder / "cloudmask_region.prom")
    job = ("job", "region")
    assert found["run_failed", job] == 1
    assert found["success_timestamp_seconds", job] == pytest.approx(good)
    assert found["run_timestamp_seconds", job] > good
    metrics.emit_unchanged("region")
    found = gauges(folder / "cloudmask_region.prom")
    assert found["run_failed", job] == 0
    assert found["success_timestamp_seconds", job] > good


def points(reader):
    (resource,) = reader.get_metrics_data().resource_metrics
    (scope,) = resource.scope_metrics
    assert scope.scope.name == "cloudmask"
    return {
        (metric.name.removeprefix("cloudmask."), *sorted(point.attributes.items())): point.value
        for metric in scope.metrics
        for point in metric.data.data_points
    }


def test_opentelemetry_gets_the_numbers_of_the_record(region, monkeypatch):
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr("opentelemetry.metrics.get_meter", provider.get_meter)
    job = ("job", "region")
    record = run.run(region.job())
    found = points(reader)
    assert found["last_run.cells_expected", job] == 6
    assert found["last_run.cells_done", job, ("status", "masked")] == 6
    mask = record.stages["mask"]
    assert found["last_run.read_windows", job, ("stage", "mask")] == mask.reads
    run.run(region.job())
    found = points(reader)
    assert found["last_run.cells_expected", job] == 6
    assert found["last_run.cells_done", job, ("status", "masked")] == 0
    assert found["runs", job, ("outcome", "published")] == 1
    assert found["runs", job, ("outcome", "unchanged")] == 1
    provider.shutdown()


@pytest.mark.slow
def test_without_the_packages_a_run_works_and_the_setting_is_refused(
    region, tmp_path, monkeypatch
):
    monkeypatch.setattr(metrics, "_package", lambda _: None)
    assert run.run(region.job()).outcome == "published"
    monkeypatch.setenv("CLOUDMASK_METRICS_FOLDER", str(tmp_path))
    with pytest.raises(ConfigError, match=r"needs the package opentelemetry-.*\[metrics\]"):
        run.run(region.job())


def test_a_folder_that_is_not_there_is_refused_before_the_run(region, tmp_path, monkeypatch):
    monkeypatch.setenv("CLOUDMASK_METRICS_FOLDER", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="expected a folder that is there"):
        run.run(region.job())
    assert not region.store.exists()


def test_a_folder_that_is_lost_meanwhile_spoils_nothing(region, folder, monkeypatch, caplog):
    check = metrics.require_exporter

    def checked():
        check()
        folder.rmdir()

    monkeypatch.setattr(metrics, "require_exporter", checked)
    assert run.run(region.job()).outcome == "published"
    assert "cannot be written" in caplog.text
