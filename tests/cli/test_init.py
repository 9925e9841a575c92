"""`cloudmask init`: what it writes is what was answered, and a job."""

import json

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.geometry import box
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.cli.template import Answers
from pipeline.config import load_job, read_period

GIVEN = ["--aoi", "9,50,10,51", "--datetime", "2023-06"]

words = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1)


@given(words, words, words)
def test_any_answer_comes_back(aoi, catalog, store):
    text = Answers(name="n", aoi=aoi, datetime="2023", catalog=catalog, store=store).text()
    read = yaml.safe_load(text)
    assert (read["sources"][0]["catalog"], read["store"]) == (catalog, store)
    assert isinstance(read["aoi"], list) or read["aoi"] == aoi


@given(
    st.lists(st.decimals(-80, 80, places=3), min_size=4, max_size=4, unique=True),
    st.sampled_from(
        ["2023-06-01/2023-08-31", "2023-06", "2023", "2023-06-01", "2023-06-01/.."]
    ),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_a_box_and_dates_come_back_as_a_job(tmp_path, corners, dates):
    west, east = sorted(corners[:2])
    south, north = sorted(corners[2:])
    answers = Answers(
        name="n",
        aoi=f"{west},{south}, {east},{north}",
        datetime=dates,
        catalog="earth-search",
        store="store",
    )
    (tmp_path / "job.yaml").write_text(answers.text())
    job = load_job(tmp_path / "job.yaml")
    assert job.aoi.equals(box(*map(float, (west, south, east, north))))
    assert job.period.start == read_period(dates).start


def test_it_writes_a_job_and_plans_it(cloudmask, rooms, tmp_path):
    result = cloudmask("init", "deep/job.yaml", "--yes", *GIVEN)
    assert result.exit_code == 2
    (tmp_path / "deep").mkdir()
    result = cloudmask("init", "deep/job.yaml", "--yes", *GIVEN)
    assert result.exit_code == 0, result.output
    assert rooms.names() == ["plan_job"]
    job = load_job(tmp_path / "deep" / "job.yaml")
    assert (job.name, job.store) == ("job", str(tmp_path / "deep" / "store"))
    assert rooms.of("plan_job") == job
    again = cloudmask("init", "deep/job.yaml", "--yes", *GIVEN)
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)


def test_what_is_not_given_is_asked_until_it_can_be_read(rooms, tmp_path):
    (tmp_path / "field.geojson").write_text(
        json.dumps({"type": "Polygon", "coordinates": [[[9, 50], [10, 50], [10, 51], [9, 50]]]})
    )
    answers = "nowhere\nfield.geojson\nlast week\n2023-06\n\n\nlake\n"
    result = CliRunner().invoke(app, ["init", "--no-plan"], input=answers)
    assert result.exit_code == 0, result.output
    assert rooms.names() == []
    job = load_job(tmp_path / "job.yaml")
    assert (job.name, job.sources[0].catalog) == ("lake", "earth-search")
    assert job.aoi.geom_type == "Polygon"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--aoi", "9,50,10,51"], "--datetime: expected it, because --yes asks nothing"),
        ([*GIVEN, "--datetime", "June"], "--datetime: found 'June'"),
        ([*GIVEN, "--catalog", "nowhere"], "sources[0].catalog: found 'nowhere'"),
        ([*GIVEN, "--name", "a b"], "name: found 'a b'"),
    ],
)
def test_nothing_is_written_that_is_no_job(cloudmask, rooms, tmp_path, options, told):
    result = cloudmask("init", "--yes", *options)
    assert result.exit_code == 2
    assert told in result.stderr
    assert not (tmp_path / "job.yaml").exists()
