"""What the README and the guides tell people to type works as it is printed."""

import importlib
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from odc.geo.geobox import GeoBox
from shapely.geometry import box, mapping
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.cli.commands.demo import example_job
from pipeline.cli.template import TEXT
from pipeline.config import load_job
from pipeline.simulate import ArchiveSettings, make_archive
from pipeline.simulate.grids import CRS, landscape_window
from tests.docs.pages import PAGES, blocks, shell_lines, text_of

small = importlib.import_module("tests.faults.small_region")

README = text_of("README.md")
MINUTES = README.split("## Five minutes")[1].split("\n## ")[0]
SETTINGS = ArchiveSettings(size_px=192, sentinel2_dates=9, landsat_dates=2)


ASKED = (11.70, 48.10, 11.75, 48.15)
"""The area of the page; the smaller landscape of this test does not reach so far."""


def as_bbox(area) -> str:
    return ",".join(f"{each:.2f}" for each in area)


def commands_of(text: str) -> list[list[str]]:
    return [shlex.split(line, comments=True) for line in shell_lines(text)]


COMMANDS = commands_of(MINUTES)
QUERIES = commands_of(text_of("docs/query.md"))
PYTHON = [
    pytest.param(code, id=f"{page}-{number}")
    for page in PAGES
    if page not in ("README.md", "CONTRIBUTING.md")  # below, and test_contributing.py
    for number, code in enumerate(blocks(text_of(page), "python"), start=1)
]


def here(demo: Path, text: str) -> str:
    """Ask the same of the landscape that is there."""
    aoi = load_job(demo / "demo" / "job.yaml", {}).aoi
    corners, inside = aoi.bounds, aoi.representative_point()
    listed = "[{:.2f}, {:.2f}, {:.2f}, {:.2f}]"
    return (
        text.replace(as_bbox(ASKED), ",".join(map(str, corners)))
        .replace(listed.format(*ASKED), str(list(corners)))
        .replace("11.72,48.16", f"{inside.x},{inside.y}")
        .replace("STORE", "demo/store")
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Make what `make demo` leaves, smaller, and by a model that needs no network."""
    folder = tmp_path_factory.mktemp("readme")
    make_archive(folder / "demo" / "archive", SETTINGS, workers=1)
    text = example_job(folder / "demo" / "archive")
    (folder / "demo" / "job.yaml").write_text(
        text.replace("model: ensemble", "model: threshold")
    )
    with pytest.MonkeyPatch.context() as patch:
        small.provide(patch)
        patch.chdir(folder)
        done = CliRunner().invoke(app, ["run", "demo/job.yaml", "--plain", "--no-report"])
        assert done.exit_code == 0, done.output
        field = box(*load_job(folder / "demo" / "job.yaml", {}).aoi.bounds)
        (folder / "field.geojson").write_text(json.dumps(mapping(field)))
        yield folder


@pytest.fixture
def beside(demo, tmp_path, monkeypatch):
    """A folder of its own beside the demo: pages write files of the same names."""
    for name in ("demo", "field.geojson"):
        (tmp_path / name).symlink_to(demo / name)
    monkeypatch.chdir(tmp_path)
    return demo


def test_the_readme_has_commands():
    assert [words[0] for words in COMMANDS] == ["cloudmask"] * len(COMMANDS)
    assert len(COMMANDS) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_works(demo, monkeypatch, words):
    # In the order of the page: some name what one before has written.
    monkeypatch.chdir(demo)
    result = CliRunner().invoke(app, [here(demo, word) for word in words[1:]])
    assert result.exit_code == 0, result.output
    assert result.output.strip()
    if words[1] == "run":
        assert result.stdout.startswith("demo is up to date\n")


@pytest.mark.slow
@pytest.mark.parametrize("words", QUERIES, ids=" ".join)
def test_every_question_of_the_guide_is_answered(beside, words):
    result = CliRunner().invoke(app, [here(beside, word) for word in words[1:]])
    assert result.exit_code == 0, result.output


@pytest.mark.slow
def test_the_lines_of_python_work(demo, monkeypatch):
    monkeypatch.chdir(demo)
    names: dict[str, object] = {}
    (code,) = blocks(README, "python")
    exec(here(demo, code), names)
    assert names["series"].scenes
    assert names["series"].is_archived
    assert set(names["july"].data_vars) >= {"red", "nir", "count", "day", "source"}


@pytest.mark.slow
@pytest.mark.parametrize("code", PYTHON)
def test_the_lines_of_python_of_every_guide_work(beside, code):
    exec(here(beside, code), {})


def test_the_area_of_the_page_lies_in_the_landscape_of_the_demo():
    assert sum(as_bbox(ASKED) in words for words in COMMANDS) >= 2
    bounds = landscape_window(ArchiveSettings().size_px).bounds
    landscape = GeoBox.from_bbox(bounds, CRS, resolution=10).geographic_extent.geom
    assert landscape.contains(box(*ASKED))


def test_the_job_file_is_valid(tmp_path):
    (tmp_path / "job.yaml").write_text(blocks(README.split("## The job file")[1], "yaml")[0])
    job = load_job(tmp_path / "job.yaml", {})
    assert job.name == "alpine-foreland"
    # Every key of the example that the demo writes stands there, too.
    for key in re.findall(r"^\s*(\w+):", TEXT, re.MULTILINE):
        assert f"{key}:" in README


PARTS = [
    pytest.param(code, id=f"{page}-{number}")
    for page in PAGES
    if page != "README.md"
    for number, code in enumerate(blocks(text_of(page), "yaml"), start=1)
]


@pytest.mark.parametrize("code", PARTS)
def test_a_part_of_a_job_file_is_valid(tmp_path, code):
    whole = yaml.safe_load(blocks(README.split("## The job file")[1], "yaml")[0])
    part = yaml.safe_load(code)
    if "composites" in part:
        del whole["composite"]
    (tmp_path / "job.yaml").write_text(yaml.safe_dump({**whole, **part}))
    assert load_job(tmp_path / "job.yaml", {})


@pytest.mark.slow
def test_the_answer_to_the_query_is_whole(demo, monkeypatch):
    monkeypatch.chdir(demo)
    (query, *_) = [words for words in COMMANDS if words[1] == "query"]
    told = json.loads(
        CliRunner().invoke(app, [*(here(demo, word) for word in query[1:]), "--json"]).stdout
    )
    assert told["archived"]
    assert told["summary"]["scenes"] > 0
