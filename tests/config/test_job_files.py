"""Job files: lines of mistakes, overrides, and files that are no jobs."""

import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.config import load_job
from pipeline.errors import ConfigError
from pipeline.types import Period

FILE = """\
name: demo
aoi: [9, 50, 10, 51]
datetime: 2023-06-01
sources:
  - catalog: earth-search
    collections:
      - sentinel-2-l2a
store: store
grid:
  tile_px: 512
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def refused_file(path: Path, **overrides: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load_job(path, overrides)
    return str(caught.value)


def test_dates_that_yaml_reads_by_itself_mean_days(tmp_path):
    job = load_job(write(tmp_path, FILE))
    assert job.period == Period(
        start=datetime(2023, 6, 1, tzinfo=UTC), end=datetime(2023, 6, 2, tzinfo=UTC)
    )
    assert job.store == str(tmp_path / "store")


def test_every_mistake_has_its_line(tmp_path):
    text = (
        FILE.replace("name: demo", "name: d/e")
        .replace("- sentinel-2-l2a", "- 7")
        .replace("tile_px: 512", "tile_px: 500\n  chnk: 3")
    )
    assert [
        line.split(", ")[0] for line in refused_file(write(tmp_path, text)).splitlines()
    ] == [
        "job.yaml:1: name: found 'd/e'",
        "job.yaml:7: sources[0].collections[0]: found 7",
        "job.yaml:11: grid.chnk: unknown key (did you mean chunk_px?)",
    ]


def test_a_single_source_has_its_line(tmp_path):
    text = FILE.replace("  - catalog: earth-search", "    catalog: 7")
    assert (
        refused_file(write(tmp_path, text))
        == "job.yaml:5: sources[0].catalog: found 7, expected text"
    )


def test_a_missing_key_has_the_line_of_its_section(tmp_path):
    text = FILE.replace("catalog: earth-search", "query: {}")
    assert refused_file(write(tmp_path, text)).startswith(
        "job.yaml:5: sources[0].catalog: missing"
    )


def test_overrides_stand_above_the_file_and_have_no_line(tmp_path):
    path = write(tmp_path, FILE)
    job = load_job(path, {"run.workers": 7, "grid.tile_px": 1024, "store": "/elsewhere"})
    assert (job.run.workers, job.grid.tile_px, job.store) == (7, 1024, "/elsewhere")
    assert (
        refused_file(path, **{"run.workers": 0}) == "run.workers: found 0, expected more than 0"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: demo\nname: again\n", "job.yaml:2: name: occurs twice in the file"),
        ("grid:\n  crs: utm\n  crs: utm\n", "job.yaml:3: grid.crs: occurs twice in the file"),
        ("name: [\n", "job.yaml:2: is no YAML: "),
        (
            "name: !!python/object:os.system x\n",
            "job.yaml:1: is no YAML: could not determine a constr",
        ),
        ("a: 1\n---\nb: 2\n", "job.yaml:2: is no YAML: "),
        ("name: 2023-13-45\n", "job.yaml: cannot be read as YAML: "),
        ("name: \x07\n", "job.yaml: is no YAML: "),
        ("[" * 5000, "job.yaml: cannot be read as YAML: "),
        ("- 1\n", "job.yaml: is no mapping of keys"),
        ("", "job.yaml: is no mapping of keys"),
    ],
)
def test_files_that_are_no_jobs(tmp_path, text, line):
    found = refused_file(write(tmp_path, text))
    assert found.startswith(line)
    assert "\n" not in found


def test_files_that_cannot_be_read(tmp_path):
    assert refused_file(tmp_path / "none.yaml").endswith("none.yaml: there is no such file")
    assert "cannot be read" in refused_file(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: Köln".encode("latin-1"))
    assert "no text in UTF-8" in refused_file(tmp_path / "latin.yaml")


def test_an_anchor_that_holds_itself_ends(tmp_path):
    text = FILE + "mask:\n  options: &a {b: *a}\n"
    assert "mask.options" in refused_file(write(tmp_path, text))
