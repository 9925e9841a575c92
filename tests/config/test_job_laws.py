"""Any job that can be written down is read back as it was."""

import json
from datetime import UTC, datetime

import shapely
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import dump_job, parse_job
from pipeline.types import (
    CleanSettings,
    ClusterSettings,
    CompositeSettings,
    CubeSettings,
    Days,
    GridSettings,
    Job,
    MaskSettings,
    Period,
    RunSettings,
    ShadowSettings,
    Source,
)
from pipeline.types.lonlat import tidy
from pipeline.types.roles import REFLECTANCE_ROLES

FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | FINITE | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=4,
    ),
    max_size=3,
)
SLUGS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
PERIODS = st.sets(INSTANTS, min_size=2, max_size=2).map(
    lambda ends: Period(start=min(ends), end=max(ends))
)
CORNERS = st.tuples(
    st.floats(-180, 175, allow_subnormal=False), st.floats(-90, 85, allow_subnormal=False)
)
# As reading leaves them: outer rings counter-clockwise.
AREAS = st.lists(CORNERS, min_size=1, max_size=3).map(
    lambda corners: tidy(
        shapely.union_all([shapely.box(x, y, x + 5, y + 5) for x, y in corners])
    )
)
SOURCES = st.builds(
    Source,
    catalog=st.sampled_from(["earth-search", "https://stac.example.org/v1?page=2"]),
    collections=st.lists(st.text(min_size=1, max_size=5), max_size=2).map(tuple),
    query=JSON,
)
GRIDS = st.builds(
    lambda chunk, tile, **others: GridSettings(
        chunk_px=16 * chunk, tile_px=16 * chunk * tile, **others
    ),
    chunk=st.integers(1, 40),
    tile=st.integers(1, 9),
    crs=st.sampled_from(["utm", "EPSG:3035"]),
    resolution_m=st.floats(0.1, 1e4),
    anchor=st.sampled_from(["auto", "crs", "landsat"]) | st.tuples(*[st.floats(-1e7, 1e7)] * 2),
)
CLEANINGS = st.builds(CleanSettings, open_m=st.floats(0, 1e4), min_object_m2=st.floats(0, 1e6))
MASKS = st.builds(
    MaskSettings,
    model=st.text(min_size=1, max_size=9),
    options=JSON,
    clean=st.dictionaries(st.sampled_from(["cloud", "shadow"]), CLEANINGS),
    shadows=st.none() | st.builds(ShadowSettings, dark_by=st.floats(0.01, 1)),
)
COMPOSITES = st.builds(
    CompositeSettings,
    name=SLUGS,
    period=st.sampled_from(["dekad", "month", "season", "year", "all"])
    | st.builds(Days, days=st.integers(1, 366)),
    min_observations=st.integers(1, 9),
    bands=st.lists(st.sampled_from(REFLECTANCE_ROLES), min_size=1, unique=True).map(tuple),
)
CLUSTERS = st.builds(
    ClusterSettings,
    kind=st.just("address"),
    address=st.just("tcp://scheduler:8786"),
    mask_on=st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0.1, 9), max_size=2),
)
RUNS = st.builds(
    RunSettings,
    workers=st.integers(1, 64),
    cluster=CLUSTERS,
    memory_bytes=st.none() | st.integers(1, 2**45),
    min_completeness=st.floats(0, 1),
)
JOBS = st.builds(
    Job,
    name=SLUGS,
    aoi=AREAS,
    period=PERIODS,
    sources=st.lists(SOURCES, min_size=1, max_size=2).map(tuple),
    store=st.sampled_from(["/data/store", "s3://bucket/store"]),
    cube=st.sampled_from([CubeSettings(), CubeSettings(unreadable="fail", hosts=("a:9000",))]),
    grid=GRIDS,
    mask=MASKS,
    composite=st.none() | COMPOSITES,
    run=RUNS,
)


@given(JOBS)
def test_a_dumped_job_reads_back_the_same_through_json(job):
    assert parse_job(json.loads(json.dumps(dump_job(job), allow_nan=False))) == job
