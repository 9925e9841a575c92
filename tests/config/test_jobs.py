"""Job files: what a right one becomes, and the one line that each mistake gets."""

import contextlib
import copy
import json
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import dump_job, job_schema, load_job, parse_job
from pipeline.errors import ConfigError
from pipeline.sensors import ROLES, THERMAL_ROLES
from pipeline.types import (
    CleanSettings,
    CompositeSettings,
    CubeSettings,
    GridSettings,
    Job,
    MaskSettings,
    Period,
    RunSettings,
    Source,
    StacSettings,
)
from pipeline.types.lonlat import tidy

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
    assert type(job.grid) is GridSettings
    assert type(job.sources[0]) is Source


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
    ("name", "a b", "name: found 'a b', expected letters, digits, - and _, up to 64 of them"),
    ("name", 7, "name: found 7, expected text"),
    ("nane", 7, "nane: unknown key (did you mean name?), expected name | aoi | datetime |"),
    ("datetime", "../2023", "datetime: found '../2023', expected a span of time"),
    ("sources", [], "sources: found [], expected at least one"),
    ("sources", "earth-search", "sources: found 'earth-search', expected a list"),
    ("sources", [{}], "sources[0].catalog: missing, expected the name, URL or path"),
    (
        "sources",
        [{"catalog": "earth-serch"}],
        "sources[0].catalog: found 'earth-serch', expected earth-search | planetary-computer",
    ),
    (
        "sources",
        {"catalog": "earth-search", "colections": []},
        "sources[0].colections: unknown key (did you mean collections?)",
    ),
    (
        "sources",
        {"catalog": "earth-search", "collections": "sentinel-2-l2a"},
        "sources[0].collections: found 'sentinel-2-l2a', expected a list",
    ),
    (
        "sources",
        {"catalog": "earth-search", "query": {"a": {"lt": float("nan")}}},
        "sources[0].query: found {'a': {'lt': nan}}, expected values that JSON can have",
    ),
    (
        "stac",
        {"folder": "s3://bucket/told"},
        "stac.folder: found 's3://bucket/told', expected a local folder",
    ),
    ("stac", {}, "stac.folder: missing"),
    ("store", "", "store: found '', expected some text"),
    ("store", None, "store: found nothing, expected text"),
    ("grid", 3, "grid: found 3, expected a mapping of keys"),
    ("grid", None, "grid: found nothing, expected a mapping of keys"),
    ("grid.crs", 3035, "grid.crs: found 3035, expected text"),
    (
        "grid.crs",
        "EPSG:4326",
        "grid.crs: found 'EPSG:4326', expected utm, or a projected CRS in metres",
    ),
    ("grid.crs", "EPSG:2225", "(this one is in US survey foot)"),
    ("grid.crs", "nonsense", "(pyproj does not know it)"),
    ("grid.resolution_m", 0, "grid.resolution_m: found 0, expected more than 0"),
    (
        "grid.resolution_m",
        float("inf"),
        "grid.resolution_m: found inf, expected a finite number",
    ),
    ("grid.resolution_m", "10", "grid.resolution_m: found '10', expected a number"),
    (
        "grid.anchor",
        "lansat",
        "grid.anchor: found 'lansat', expected auto | crs | landsat | sentinel-2 (did you mean landsat?)",
    ),
    ("grid.anchor", [15], "grid.anchor: found [15], expected auto | crs | landsat"),
    ("grid.anchor", [15, float("inf")], "or [x, y], two numbers of metres in grid.crs"),
    ("grid.anchor", ["15", 15], "or [x, y], two numbers of metres in grid.crs"),
    ("grid.anchor", [True, 15], "or [x, y], two numbers of metres in grid.crs"),
    ("grid.anchor", 15, "grid.anchor: found 15, expected auto | crs | landsat"),
    ("grid.tile_px", 1000, "grid.tile_px: found 1000, expected a multiple of chunk_px (256)"),
    ("grid.tile_px", 512.5, "grid.tile_px: found 512.5, expected a whole number"),
    ("grid.tile_px", 0, "grid.tile_px: found 0, expected more than 0"),
    ("grid.chunk_px", 100, "grid.chunk_px: found 100, expected a multiple of 16"),
    ("grid.chunk_px", 0, "grid.chunk_px: found 0, expected at least 16"),
    (
        "grid.tilepx",
        1,
        "grid.tilepx: unknown key (did you mean tile_px?), expected crs | resolution_m",
    ),
    (
        "mask.guard",
        {"cell_px": 96},
        "mask.guard.cell_px: found 96, expected a divisor of grid.chunk_px",
    ),
    ("mask.guard", {"cell": 1}, "mask.guard.cell: unknown key (did you mean cell_px?)"),
    (
        "mask.clean",
        {"cloud": {"open": 1}},
        "mask.clean.cloud.open: unknown key (did you mean open_m?)",
    ),
    (
        "run.cluster",
        {"adress": "tcp://s:1"},
        "run.cluster.adress: unknown key (did you mean address?)",
    ),
    ("mask.model", "", "mask.model: found '', expected some text"),
    ("mask.options", [], "mask.options: found [], expected "),
    ("composite.name", "a/b", "composite.name: found 'a/b', expected letters, digits"),
    (
        "composite.bands",
        ["red", "lwir11"],
        "composite.bands[1]: found 'lwir11', expected a band of reflectance, and this one is a temperature",
    ),
    ("composite.method", "medoid", "composite.method: found 'medoid', expected 'median'"),
    (
        "composite.period",
        "mont",
        "expected 'month', 'season', 'year' or 'all' (did you mean month?)",
    ),
    ("composite.bands", [], "composite.bands: found [], expected at least one"),
    (
        "composite.bands",
        ["red", "red"],
        "composite.bands: found ['red', 'red'], expected each band once",
    ),
    (
        "composite.bands",
        ["red", "gren"],
        "composite.bands[1]: found 'gren', expected a band by its role (did you mean green?): coastal |",
    ),
    ("run.workers", 0, "run.workers: found 0, expected more than 0"),
    ("run.workers", True, "run.workers: found True, expected a whole number"),
    ("run.memory_bytes", "4 Gigs", "run.memory_bytes: found '4 Gigs', expected a size such as"),
    ("run.memory_bytes", True, "run.memory_bytes: found True, expected a size such as"),
    ("run.memory_bytes", -1, "run.memory_bytes: found -1, expected a size such as"),
    ("run.memory_bytes", 0, "run.memory_bytes: found 0, expected more than 0"),
    ("run.min_completeness", 1.1, "run.min_completeness: found 1.1, expected at most 1"),
    ("run.min_completeness", -1, "run.min_completeness: found -1, expected at least 0"),
]


@pytest.mark.parametrize(("path", "value", "line"), MISTAKES)
def test_a_mistake_is_one_line(path, value, line):
    found = refused(changed(path, value))
    assert line in found
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


# -- files -------------------------------------------------------------------------------------

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
        ("name: demo\nname: again\n", "job.yaml:2: name: stands in the file twice"),
        ("grid:\n  crs: utm\n  crs: utm\n", "job.yaml:3: grid.crs: stands in the file twice"),
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


# -- laws --------------------------------------------------------------------------------------

SLUGS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)
JSON = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-9, 9)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=4,
    ),
    max_size=3,
)
INSTANTS = st.datetimes(
    datetime(1970, 1, 1),
    datetime(2100, 1, 1),
    timezones=st.just(UTC),
)


@st.composite
def areas(draw: st.DrawFn) -> shapely.Geometry:
    wests = st.floats(-180, 175, allow_subnormal=False)
    souths = st.floats(-90, 85, allow_subnormal=False)
    boxes = [
        shapely.box(west, south, west + 5, south + 5)
        for west, south in draw(st.lists(st.tuples(wests, souths), min_size=1, max_size=3))
    ]
    # As reading leaves them: outer rings counter-clockwise.
    return tidy(shapely.union_all(boxes))


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    start, end = sorted(draw(st.lists(INSTANTS, min_size=2, max_size=2, unique=True)))
    chunk_px = 16 * draw(st.integers(1, 40))
    sources = st.builds(
        Source,
        catalog=st.sampled_from(["earth-search", "https://stac.example.org/v1?page=2"]),
        collections=st.lists(st.text(min_size=1, max_size=5), max_size=2).map(tuple),
        query=JSON,
    )
    return Job(
        name=draw(SLUGS),
        aoi=draw(areas()),
        period=Period(start=start, end=end),
        sources=tuple(draw(st.lists(sources, min_size=1, max_size=2))),
        store=draw(st.sampled_from(["/data/store", "s3://bucket/store"])),
        cube=CubeSettings(
            loader=draw(st.sampled_from(["odc-stac", "stackstac"])),
            unreadable=draw(st.sampled_from(["drop", "fail"])),
            hosts=draw(st.sampled_from([(), ("10.1.2.3", "minio.internal:9000")])),
        ),
        grid=GridSettings(
            crs=draw(st.sampled_from(["utm", "EPSG:3035"])),
            resolution_m=draw(st.floats(0.1, 1e4)),
            anchor=draw(
                st.sampled_from(["auto", "crs", "landsat", "sentinel-2"])
                | st.tuples(*[st.floats(-1e7, 1e7)] * 2)
            ),
            tile_px=chunk_px * draw(st.integers(1, 9)),
            chunk_px=chunk_px,
        ),
        mask=MaskSettings(
            model=draw(st.text(min_size=1, max_size=9)),
            options=draw(JSON),
            clean=draw(st.dictionaries(st.sampled_from(["cloud", "shadow"]), CLEANINGS)),
        ),
        composite=draw(st.none() | composites()),
        run=RunSettings(
            workers=draw(st.integers(1, 64)),
            memory_bytes=draw(st.none() | st.integers(1, 2**45)),
            min_completeness=draw(st.floats(0, 1)),
        ),
    )


CLEANINGS = st.builds(
    CleanSettings,
    open_m=st.floats(0, 1e4),
    dilate_m=st.floats(0, 1e4),
    min_object_m2=st.floats(0, 1e6),
)


def composites() -> st.SearchStrategy[CompositeSettings]:
    return st.builds(
        CompositeSettings,
        name=SLUGS,
        period=st.sampled_from(["month", "season", "year", "all"]),
        bands=st.lists(
            st.sampled_from([role for role in ROLES if role not in THERMAL_ROLES]),
            min_size=1,
            unique=True,
        ).map(tuple),
    )


@given(jobs())
def test_a_dumped_job_reads_back_the_same_through_json(job):
    assert parse_job(json.loads(json.dumps(dump_job(job), allow_nan=False))) == job


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
    assert set(schema["properties"]) == set(dump_job(parse_job(LEAST)))
    assert "includes the 31st" in schema["properties"]["datetime"]["description"]
    grid = schema["$defs"]["GridSettings"]["properties"]
    assert grid["resolution_m"]["exclusiveMinimum"] == 0
    assert "multiple of `chunk_px`" in grid["tile_px"]["description"]
