"""Job files: what a right one becomes, and the one line that each mistake gets."""

import contextlib
import copy
import json
import re
from datetime import UTC, datetime

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import dump_job, job_schema, parse_job
from pipeline.errors import ConfigError
from pipeline.types import (
    Job,
    Period,
    Source,
    StacSettings,
)

LEAST = {
    "name": "demo",
    "aoi": [9, 50, 10, 51],
    "datetime": "2023-06-01/2023-08-31",
    "sources": [{"catalog": "earth-search"}],
    "store": "/data/store",
}


def changed(path: str, value: object) -> dict:
    """Return the least job with one value changed, by key path."""
    data = copy.deepcopy(LEAST)
    *sections, key = path.split(".")
    inner = data
    for section in sections:
        inner = inner.setdefault(section, {})
    inner[key] = value
    return data


def refused(data: dict) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_job(data)
    return str(caught.value)


def test_the_least_job_has_the_defaults_of_the_settings_classes():
    job = parse_job(LEAST)
    assert job == Job(
        name="demo",
        aoi=shapely.box(9, 50, 10, 51),
        period=Period(
            start=datetime(2023, 6, 1, tzinfo=UTC), end=datetime(2023, 9, 1, tzinfo=UTC)
        ),
        sources=(Source(catalog="earth-search"),),
        store="/data/store",
    )
    assert type(job) is Job


def test_a_single_source_needs_no_list():
    assert parse_job(changed("sources", {"catalog": "earth-search"})) == parse_job(LEAST)


@pytest.mark.parametrize(
    ("value", "expected"), [("4 GiB", 4 * 2**30), ("4GB", 4 * 10**9), (123, 123), (None, None)]
)
def test_memory_is_a_size(value, expected):
    read = parse_job(changed("run.memory_bytes", value)).run.memory_bytes
    assert read == expected
    assert type(read) in (int, type(None))


@pytest.mark.parametrize("crs", ["utm", "EPSG:3035", "EPSG:32633"])
def test_crs_in_metres_are_taken(crs):
    assert parse_job(changed("grid.crs", crs)).grid.crs == crs


def test_paths_are_relative_to_the_job_file(tmp_path):
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "catalog.json").write_text("{}")
    data = LEAST | {"sources": {"catalog": "archive/catalog.json"}, "store": "out/store"}
    job = parse_job(data | {"stac": {"folder": "told"}}, base=tmp_path)
    assert job.stac == StacSettings(folder=str(tmp_path / "told"))
    assert job.sources[0].catalog == str(tmp_path / "archive" / "catalog.json")
    assert job.store == str(tmp_path / "out" / "store")


def test_urls_are_kept():
    data = LEAST | {
        "sources": {"catalog": "https://stac.example.org/v1"},
        "store": "s3://bucket/region",
    }
    job = parse_job(data)
    assert (job.sources[0].catalog, job.store) == (
        "https://stac.example.org/v1",
        "s3://bucket/region",
    )


MISTAKES = [
    ("name", "a b", ": … expected letters, digits, - and _, up to 64 of them"),
    ("name", 7, ": found 7, expected text"),
    ("nane", 7, ": unknown key (did you mean name?), expected name | aoi | datetime |"),
    ("datetime", "../2023", ": found '../2023', expected a span of time"),
    ("sources", [], ": found [], expected at least one"),
    ("sources", "earth-search", ": found 'earth-search', expected a list"),
    ("sources", [{}], "[0].catalog: missing, expected the name, URL or path"),
    (
        "sources",
        [{"catalog": "earth-serch"}],
        "[0].catalog: found 'earth-serch', expected earth-search | planetary-computer",
    ),
    (
        "sources",
        {"catalog": "earth-search", "colections": []},
        "[0].colections: unknown key (did you mean collections?)",
    ),
    (
        "sources",
        {"catalog": "earth-search", "collections": "sentinel-2-l2a"},
        "[0].collections: found 'sentinel-2-l2a', expected a list",
    ),
    (
        "sources",
        {"catalog": "earth-search", "query": {"a": {"lt": float("nan")}}},
        "[0].query: found {'a': {'lt': nan}}, expected values that JSON can have",
    ),
    (
        "stac",
        {"folder": "s3://bucket/told"},
        ".folder: found 's3://bucket/told', expected a local folder",
    ),
    ("stac", {}, ".folder: missing"),
    ("store", "", ": found '', expected some text"),
    ("store", None, ": found nothing, expected text"),
    ("grid", 3, ": found 3, expected a mapping of keys"),
    ("grid", None, ": found nothing, expected a mapping of keys"),
    ("grid.crs", 3035, ": found 3035, expected text"),
    ("grid.crs", "EPSG:4326", ": … expected utm, or a projected CRS in metres"),
    ("grid.crs", "EPSG:2225", "… (this one is in US survey foot)"),
    ("grid.crs", "nonsense", "… (pyproj does not know it)"),
    ("grid.resolution_m", 0, ": found 0, expected more than 0"),
    ("grid.resolution_m", float("inf"), ": found inf, expected a finite number"),
    ("grid.resolution_m", "10", ": found '10', expected a number"),
    (
        "grid.anchor",
        "lansat",
        ": … expected auto | crs | landsat | sentinel-2 (did you mean landsat?)",
    ),
    ("grid.anchor", [15], ": found [15], expected auto | crs | landsat"),
    ("grid.anchor", [15, float("inf")], "… or [x, y], two numbers of metres in grid.crs"),
    ("grid.anchor", ["15", 15], "… or [x, y], two numbers of metres in grid.crs"),
    ("grid.anchor", [True, 15], "… or [x, y], two numbers of metres in grid.crs"),
    ("grid.anchor", 15, ": found 15, expected auto | crs | landsat"),
    (
        "composite.period",
        "weeks",
        ": … expected dekad | month | season | year | all, or {days: n}",
    ),
    ("composite.period", {"days": 0}, ": … or {days: n} with n from 1 to 366"),
    ("composite.period", {"days": 8, "from": 1}, ": … or {days: n} with n from 1 to 366"),
    ("grid.tile_px", 1000, ": found 1000, expected a multiple of chunk_px (256)"),
    ("grid.tile_px", 512.5, ": found 512.5, expected a whole number"),
    ("grid.tile_px", 0, ": found 0, expected more than 0"),
    ("grid.chunk_px", 100, ": found 100, expected a multiple of 16"),
    ("grid.chunk_px", 0, ": found 0, expected at least 16"),
    ("grid.tilepx", 1, ": unknown key (did you mean tile_px?), expected crs | resolution_m"),
    ("mask.guard", {"cell_px": 96}, ".cell_px: found 96, expected a divisor of grid.chunk_px"),
    ("mask.guard", {"cell": 1}, ".cell: unknown key (did you mean cell_px?)"),
    ("mask.clean", {"cloud": {"open": 1}}, ".cloud.open: unknown key (did you mean open_m?)"),
    ("run.cluster", {"adress": "tcp://s:1"}, ".adress: unknown key (did you mean address?)"),
    ("mask.model", "", ": found '', expected some text"),
    ("mask.options", [], ": found [], expected "),
    ("composite.name", "a/b", ": found 'a/b', expected letters, digits"),
    (
        "composite.bands",
        ["red", "lwir11"],
        "[1]: found 'lwir11', expected a band of reflectance, and this one is a temperature",
    ),
    ("composite.method", "", ": found '', expected some text"),
    ("composite.options", [], ": found [], expected "),
    (
        "composite.period",
        "mont",
        "… expected dekad | month | season | year | all, or {days: n} with n from 1 to 366 (did you mean month?)",
    ),
    ("composite.bands", [], ": found [], expected at least one"),
    ("composite.bands", ["red", "red"], ": found ['red', 'red'], expected each once"),
    (
        "composite.bands",
        ["red", "gren"],
        "[1]: found 'gren', expected a band by its role (did you mean green?): coastal |",
    ),
    ("run.workers", 0, ": found 0, expected more than 0"),
    ("run.workers", True, ": found True, expected a whole number"),
    ("run.memory_bytes", "4 Gigs", ": found '4 Gigs', expected a size such as"),
    ("run.memory_bytes", True, ": found True, expected a size such as"),
    ("run.memory_bytes", -1, ": found -1, expected a size such as"),
    ("run.memory_bytes", 0, ": found 0, expected more than 0"),
    ("run.min_completeness", 1.1, ": found 1.1, expected at most 1"),
    ("run.min_completeness", -1, ": found -1, expected at least 0"),
]
"""Key path, value, and what the message has behind the path; ``…`` leaves something out."""


@pytest.mark.parametrize(("path", "value", "line"), MISTAKES)
def test_a_mistake_is_one_line(path, value, line):
    found = refused(changed(path, value))
    assert re.search(".*".join(map(re.escape, (path + line).split("…"))), found)
    assert "\n" not in found


@pytest.mark.parametrize("key", LEAST)
def test_a_missing_key_is_one_line(key):
    data = {name: value for name, value in LEAST.items() if name != key}
    found = refused(data)
    assert found.startswith(f"{key}: missing, expected ")
    assert "\n" not in found


@pytest.mark.parametrize(
    "url",
    [
        "s3://me:hunter2@bucket/x",
        "https://x.org/c?sig=hunter2",
        "https://x.org/c?X-Amz-Signature=hunter2",
    ],
)
@pytest.mark.parametrize("path", ["store", "sources"])
def test_secrets_are_refused_and_not_printed(path, url):
    found = refused(changed(path, {"catalog": url} if path == "sources" else url))
    assert "hunter2" not in found
    assert "without password or token" in found


def test_values_that_hold_themselves_are_refused():
    loop: dict = {}
    loop["again"] = loop
    assert refused(changed("mask.options", loop)).startswith("mask.options: found ")


def test_braces_in_a_value_are_printed_as_they_are():
    assert "'{expected}'" in refused(changed("name", "{expected}"))


def test_long_values_are_cut():
    assert len(refused(changed("name", "x" * 10_000))) < 300


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.text() | st.sampled_from(["type", "coordinates"]), inner, max_size=3
            )
        ),
        max_leaves=8,
    ),
    st.sampled_from(
        [*LEAST, "grid", "mask", "composite", "run", "grid.crs", "run.memory_bytes"]
    ),
)
def test_whatever_stands_there_is_a_job_or_a_config_error(value, path):
    with contextlib.suppress(ConfigError):
        assert isinstance(parse_job(changed(path, value)), Job)


def test_the_schema_knows_every_key_and_its_meaning():
    schema = job_schema()
    json.dumps(schema)
    # A job without a list of composites is written as it was before there were lists.
    assert set(schema["properties"]) == {*dump_job(parse_job(LEAST)), "composites"}
    assert "includes the 31st" in schema["properties"]["datetime"]["description"]
    grid = schema["$defs"]["GridSettings"]["properties"]
    assert grid["resolution_m"]["exclusiveMinimum"] == 0
    assert "multiple of `chunk_px`" in grid["tile_px"]["description"]
