"""The command line: what it asks the rooms, what it prints, how it ends."""

import csv
import io
import json
import os
import subprocess
import sys
from types import ModuleType

import pytest

import pipeline.errors
from pipeline.cli import material
from pipeline.errors import (
    AssetError,
    CloudmaskError,
    IncompleteError,
    SearchError,
    StoreDamagedError,
)


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


# -- run ---------------------------------------------------------------------------------------


def test_run_goes_through_the_flow(cloudmask, rooms, job):
    result = cloudmask("run", job)
    assert result.exit_code == 0, result.output
    assert rooms.names() == ["plan_job", "flow", "open_archive", "clear_sky", "write_report"]
    assert "1 of 2 cells (scene × tile) are masked, 1 of them now" in result.stdout
    assert "read 1.0 MiB" in result.stdout
    assert "asset [red] is gone" in result.stdout
    assert rooms.of("write_report").job["name"] == "demo"
    assert lines(result.stderr) == [
        "starting Prefect (--plain runs without it) …",
        "tiles: 1 to do",
        "tiles: 1 of 1",
        f"report: {job.parent / 'demo-report.html'}",
    ]


def test_a_plain_run_shows_its_progress_on_stderr(cloudmask, rooms, job):
    result = cloudmask("run", job, "--plain", "--no-report")
    assert result.exit_code == 0, result.output
    assert rooms.names() == ["plan_job", "execute"]
    assert lines(result.stderr) == [
        "tiles: 20 to do",
        *(f"tiles: {done} of 20" for done in range(2, 21, 2)),
        "tile r000c000: trying again",
    ]


def test_a_run_without_anything_to_do_starts_nothing(cloudmask, rooms, job):
    rooms.nothing_to_do = True
    result = cloudmask("run", job)
    assert result.exit_code == 0
    assert result.stdout.startswith("demo is up to date\n")
    assert "it has no datetime" in result.stdout, "what is left out is told each time"
    assert rooms.names() == ["plan_job"]


def test_a_quiet_run_prints_nothing(cloudmask, rooms, job):
    result = cloudmask("run", job, "--plain", "-q")
    assert (result.exit_code, result.output) == (0, "")
    assert "write_report" in rooms.names()
    rooms.nothing_to_do = True
    assert cloudmask("run", job, "--quiet").output == ""


def test_what_nobody_expected_is_one_line_too(cloudmask, rooms, job):
    rooms.error = ZeroDivisionError("boom")
    result = cloudmask("run", job)
    assert result.exit_code == 1
    assert lines(result.stderr) == [
        "error: unexpected ZeroDivisionError: boom; `cloudmask --debug …` shows where"
    ]
    assert isinstance(cloudmask("--debug", "run", job).exception, ZeroDivisionError)


def test_options_stand_above_the_file(cloudmask, rooms, job, tmp_path, monkeypatch):
    monkeypatch.setenv("CLOUDMASK_MEMORY_BYTES", "4 GiB")
    result = cloudmask(
        "run", job, "--store", "elsewhere", "--workers", 7, "--report", tmp_path / "r.html"
    )
    assert result.exit_code == 0, result.output
    asked = rooms.of("plan_job")
    assert asked.store == str(tmp_path / "elsewhere")
    assert (asked.run.workers, asked.run.memory_bytes) == (7, 4 * 2**30)
    assert (tmp_path / "r.html").exists()


def test_a_missing_flow_says_what_to_do(cloudmask, rooms, job, monkeypatch):
    monkeypatch.setattr("pipeline.cli.commands.jobs.entry_points", lambda **_: [])
    result = cloudmask("run", job)
    assert result.exit_code == 2
    assert "run with --plain" in result.stderr


# -- errors ------------------------------------------------------------------------------------

CLASSES = [
    each
    for each in vars(pipeline.errors).values()
    if isinstance(each, type) and issubclass(each, CloudmaskError)
]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_one_line_and_its_exit_code(cloudmask, rooms, job, kind):
    given = {
        AssetError: ("S2A", "red", "no such file"),
        StoreDamagedError: ("masks", None, "lost"),
    }
    of = next((each for each in given if issubclass(kind, each)), None)
    rooms.error = kind(*given[of]) if of else kind("the [reason]")
    result = cloudmask("run", job)
    assert result.exit_code == kind.exit_code
    assert result.stderr == f"error: {rooms.error}\n"
    assert result.stdout == ""


def test_a_reader_that_goes_away_is_no_error():
    command = [sys.executable, "-m", "pipeline.cli", "schema"]
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(command, stdout=writes, stderr=subprocess.PIPE, check=False)
    os.close(writes)
    assert done.stderr == b""
    assert done.returncode == 1


def test_debug_lets_the_traceback_through(cloudmask, rooms, job):
    rooms.error = IncompleteError("why")
    assert cloudmask("--debug", "run", job).exception is rooms.error


def test_an_interrupt_ends_with_130(cloudmask, rooms, job):
    rooms.error = KeyboardInterrupt()
    result = cloudmask("run", job)
    assert result.exit_code == 130
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["run", "plan"])
def test_mistakes_in_a_job_file_are_lines(cloudmask, rooms, job, command):
    job.write_text(job.read_text() + "grid: {tile_px: 3}\nmsk: {}\n")
    result = cloudmask(command, job)
    assert result.exit_code == 2
    assert lines(result.stderr)[0].startswith("error: job.yaml:6: grid.tile_px: found 3")
    assert lines(result.stderr)[1].startswith(
        "job.yaml:7: msk: unknown key (did you mean mask?)"
    )
    assert rooms.calls == []


def test_a_missing_job_file_and_a_wrong_environment(cloudmask, rooms, job, monkeypatch):
    assert "there is no such file" in cloudmask("run", "-").stderr
    monkeypatch.setenv("CLOUDMASK_LOG_LEVEL", "LOUD")
    result = cloudmask("run", job)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: CLOUDMASK_LOG_LEVEL: found 'LOUD'")


def test_wrong_arguments_end_with_2(cloudmask):
    for arguments in (["run"], ["fly"], ["run", "x", "--workers", "0"]):
        assert cloudmask(*arguments).exit_code == 2


# -- plan --------------------------------------------------------------------------------------


def test_plan_counts_by_sensor_and_says_why(cloudmask, rooms, job):
    result = cloudmask("plan", job)
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in lines(result.stdout)]
    assert ["│", "sentinel-2", "│", "2", "│", "0", "│", "1", "│", "0", "│"] in rows
    assert ["│", "landsat", "│", "0", "│", "1", "│", "0", "│", "0", "│"] in rows
    assert "its items have changed" in result.stdout
    assert "it has no datetime" in result.stdout
    assert "to read: 3.0 MiB of pixels" in result.stdout
    assert "memory:  1.0 GiB needed, " in result.stdout
    assert rooms.names() == ["plan_job"]


def test_plan_as_json(cloudmask, rooms, job):
    assert json.loads(cloudmask("plan", job, "--json").stdout)["job"] == "demo"
    rooms.nothing_to_do = True
    assert "demo is up to date" in cloudmask("plan", job).stdout


def test_schema(cloudmask, tmp_path):
    printed = cloudmask("schema").stdout
    assert json.loads(printed)["title"] == "cloudmask job"
    assert cloudmask("schema", "--out", tmp_path / "s.json").stdout == ""
    assert (tmp_path / "s.json").read_text() == printed
    result = cloudmask("schema", "--out", tmp_path / "no" / "s.json")
    assert (result.exit_code, "cannot be written" in result.stderr) == (2, True)


# -- query -------------------------------------------------------------------------------------

QUESTION = ["query", "store", "--aoi", "9,50,10,51", "--datetime", "2023-06"]


def test_query_as_a_table(cloudmask, rooms, tmp_path):
    result = cloudmask(*QUESTION)
    assert result.exit_code == 0, result.output
    assert "71.2" in result.stdout
    assert "–" in result.stdout
    masks, aoi, period = rooms.of("clear_sky")
    assert [each.name for each in masks.values()] == ["masks of landsat", "masks of sentinel-2"]
    assert aoi.bounds == (9, 50, 10, 51)
    assert str(period) == "2023-06-01T00:00:00Z/2023-07-01T00:00:00Z"
    assert rooms.of("open_archive") == (str(tmp_path / "store"), None)


def test_query_as_json_and_csv(cloudmask, rooms):
    told = json.loads(cloudmask(*QUESTION, "--json").stdout)
    assert told["scenes"][0]["clear"] == 71.25
    assert "2 scenes" in cloudmask(*QUESTION, "--csv").stderr
    (first, second) = csv.DictReader(io.StringIO(cloudmask(*QUESTION, "--csv").stdout))
    assert first["clear"] == "71.25"
    assert second == {
        "sensor": "landsat",
        "time": "2023-06-02T10:00:00+00:00",
        "clear": "0.0",
        "thick": "",
    }
    result = cloudmask(*QUESTION, "--csv", "--json")
    assert (result.exit_code, "expected one of them" in result.stderr) == (2, True)


def test_query_of_some_sensors_as_of_then_to_a_file(cloudmask, rooms, tmp_path):
    result = cloudmask(
        *QUESTION, "--sensor", "landsat", "--as-of", "2023-09-01", "--out", "m.nc", "--json"
    )
    assert result.exit_code == 0, result.output
    json.loads(result.stdout)
    assert list(rooms.of("clear_sky")[0]) == ["landsat"]
    assert rooms.of("open_archive")[1] == "2023-09-01"
    dataset, path, overwrite = rooms.of("export")
    assert (dataset, path.name, overwrite) == ("selected", "m.nc", False)


def test_query_with_what_screening_leaves(cloudmask, rooms, monkeypatch):
    judged = ModuleType("pipeline.run.why")
    judged.screened = lambda *asked: rooms.note("screened", asked) or "judged"
    monkeypatch.setitem(sys.modules, "pipeline.run.why", judged)
    result = cloudmask(*QUESTION, "--screened", "--composite", "monthly")
    assert result.exit_code == 0, result.output
    _, series, aoi, name = rooms.of("screened")
    assert (series, aoi.bounds, name) == ("series", (9, 50, 10, 51), "monthly")
    cloudmask(*QUESTION, "--screened")
    assert [asked[-1] for name, asked in rooms.calls if name == "screened"] == ["monthly", None]
    result = cloudmask(*QUESTION, "--composite", "monthly")
    assert (result.exit_code, "with --screened only" in result.stderr) == (2, True)


def test_query_without_scenes(cloudmask, rooms):
    rooms.nothing_to_do = True
    assert cloudmask(*QUESTION).stdout == "2 scenes on 2 dates\n"
    assert json.loads(cloudmask(*QUESTION, "--json").stdout) == {"scenes": []}


def test_query_of_dates_that_nobody_searched_has_a_status_of_its_own(cloudmask, rooms):
    rooms.error = pipeline.errors.NotArchivedError("no run searched")
    result = cloudmask(*QUESTION, "--json", "--out", "m.nc")
    assert (result.exit_code, result.stderr) == (8, "error: no run searched\n")
    # The answer is there all the same, for scripts.
    assert json.loads(result.stdout)["scenes"]
    assert "export" not in rooms.names()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--aoi", "POINT (1 1)"], "--aoi: found 'POINT (1 1)', expected a bbox"),
        (["--datetime", "../2023"], "--datetime: found '../2023', expected a span of time"),
        (["--sensor", "modis"], "--sensor: found modis, expected landsat | sentinel-2"),
    ],
)
def test_questions_that_make_no_sense(cloudmask, rooms, change, words):
    result = cloudmask(*QUESTION, *change)
    assert result.exit_code == 2
    assert lines(result.stderr)[0].startswith(f"error: {words}")


def test_a_store_with_a_password_is_refused(cloudmask, rooms):
    result = cloudmask("query", "s3://me:hunter2@x", *QUESTION[2:])
    assert result.exit_code == 2
    assert "hunter2" not in result.output


# -- evaluate, report, simulate, models --------------------------------------------------------


def test_evaluate(cloudmask, rooms, tmp_path):
    (tmp_path / "truth.zarr").mkdir()
    result = cloudmask("evaluate", "store", "--truth", "truth.zarr")
    assert "0.5" in result.stdout
    as_json = cloudmask("evaluate", "store", "--truth", "truth.zarr", "--json")
    assert json.loads(as_json.stdout) == {"masks": [{"scene": "all", "recall": 0.5}]}
    assert cloudmask("evaluate", "store", "--truth", "none").exit_code == 2


def test_report(cloudmask, rooms, tmp_path, monkeypatch):
    monkeypatch.setattr(material, "_series", lambda *_: "series")
    (tmp_path / "truth.zarr").mkdir()
    result = cloudmask("report", "store", "--out", "r.html", "--truth", "truth.zarr")
    assert (result.exit_code, result.stdout) == (0, "report: r.html\n")
    assert rooms.of("write_report").accuracy == {"masks": [{"scene": "all", "recall": 0.5}]}


def test_simulate(cloudmask, rooms):
    result = cloudmask("simulate", "archive", "--seed", 3)
    assert (result.exit_code, result.stdout) == (0, "catalogue: archive/catalog.json\n")
    assert lines(result.stderr) == ["passes: 2 to do", "passes: 2 of 2"]
    settings, workers = rooms.of("make_archive")
    assert (settings.seed, settings.size_px, workers) == (3, 1536, 2)


def test_models(cloudmask):
    # In columns: what a model needs, and what it cannot do.
    (row,) = (
        line.split("│")
        for line in lines(cloudmask("models", "list").stdout)
        if "│ ukis-csmask " in line
    )
    assert [cell.strip() for cell in row[2:6]] == [
        "hls, landsat, sentinel-2",
        "L1C, L2A",
        "blue, green, red, nir, swir16, swir22",
        "10 – 60",
    ]
    assert (
        row[6].strip().startswith("no thin cloud, water or snow class; calls shadow too often")
    )
    found = {
        each["model"]: each for each in json.loads(cloudmask("models", "list", "--json").stdout)
    }
    assert found["s2cloudless"]["cannot"] == "no thin cloud, water, snow or shadow class"
    assert found["s2cloudless"]["sensors"] == "sentinel-2"
    assert found["scl"]["cannot"] == "–"
    assert "cloudmask-si: it misses half of the shadows" in found["ensemble"]["cannot"]
    card = json.loads(cloudmask("models", "show", "ukis-csmask", "--json").stdout)
    assert card["licence"] == "Apache-2.0"
    assert "about 20 to 30 m" in card["limits"]
    assert "Apache-2.0" in cloudmask("models", "show", "ukis-csmask-4b-l1c").stdout
    assert cloudmask("models", "show", "nothing").exit_code == 5


# -- demo --------------------------------------------------------------------------------------


def test_the_demo_makes_everything_once(cloudmask, rooms, tmp_path):
    result = cloudmask("demo", "d", "--plain")
    assert result.exit_code == 0, result.output
    assert [name for name in rooms.names() if name != "clear_sky"] == [
        "make_archive",
        "plan_job",
        "execute",
        "open_archive",
        "against_truth",
        "write_report",
    ]
    asked = rooms.of("plan_job")
    # A twentieth inside of what both collections have in common.
    assert asked.aoi.bounds == pytest.approx((9.525, 50.045, 9.975, 50.855))
    assert asked.sources[0].catalog == str(tmp_path / "d" / "archive" / "catalog.json")
    assert asked.store == str(tmp_path / "d" / "store")
    assert (asked.grid.resolution_m, asked.grid.tile_px) == (20, 512)
    assert "cloudmask run d/job.yaml" in result.stdout

    rooms.calls.clear()
    rooms.nothing_to_do = True
    again = cloudmask("demo", "d")
    assert again.exit_code == 0, again.output
    assert "make_archive" not in rooms.names()
    assert "demo is up to date" in again.stdout


def test_a_broken_archive_is_an_error(cloudmask, rooms, tmp_path):
    (tmp_path / "d" / "archive").mkdir(parents=True)
    (tmp_path / "d" / "archive" / "catalog.json").write_text('{"links": []}')
    result = cloudmask("demo", "d")
    assert (result.exit_code, "is no catalogue of collections" in result.stderr) == (2, True)


# -- the command itself ------------------------------------------------------------------------


def test_version(cloudmask):
    assert cloudmask("--version").stdout.startswith("cloudmask ")


def test_the_installed_command_turns_errors_into_lines(tmp_path):
    code = "import sys; from pipeline.cli import main; sys.argv = ['cloudmask', 'run', 'x']; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, "error: x: there is no such file\n")


def test_search_errors_reach_plan(cloudmask, rooms, job):
    rooms.error = SearchError("no")
    assert cloudmask("plan", job).exit_code == 3
