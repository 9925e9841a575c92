"""Whatever one field of a real item holds: the item is used, or dropped with a reason; nothing stops."""

import copy
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import box

from pipeline import sensors
from pipeline.cube.metadata.roles import all_misplaced, frame
from pipeline.errors import CloudmaskError
from pipeline.search import search
from pipeline.testing import make_job
from pipeline.types import Period, Source

ODD = [
    *(
        None,
        True,
        7,
        -1,
        10**400,
        1e999,
        float("nan"),
        "",
        "x",
        "\ud83d",
        [],
        {},
        [None],
        [[[]]],
    ),
    *({"a": {"b": [1]}}, "9" * 5000, "0001-01-01T00:00:00+14:00"),
]


def fields(document, above=()):
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for name, value in pairs:
        yield (*above, name)
        if isinstance(value, dict | list) and len(above) < 3:
            yield from fields(value, (*above, name))


@pytest.fixture(scope="module")
def documents(shared_data):
    paths = sorted((shared_data / "stac_items").glob("*/*.json"))
    found = [path for path in paths if path.parent.name != "collections"]
    return [json.loads(path.read_text()) for path in found[::25]]


@given(data=st.data())
def test_one_odd_value_stops_no_search(documents, data, tmp_path_factory):
    document = copy.deepcopy(data.draw(st.sampled_from(documents)))
    place = data.draw(st.sampled_from(list(fields(document))))
    holder = document
    for name in place[:-1]:
        holder = holder[name]
    holder[place[-1]] = data.draw(st.sampled_from(ODD))
    searched(document, tmp_path_factory.mktemp("odd"))


@pytest.mark.parametrize("relation", ["self", "collection", "derived_from"])
def test_a_link_that_leads_nowhere_stops_no_search(documents, tmp_path, relation):
    document = copy.deepcopy(documents[0])
    document["links"] = [{"rel": relation, "href": ""}]
    searched(document, tmp_path)


def searched(document, folder):
    """Search a catalogue of one item: it is used, or dropped with a reason."""
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [document]}))
    period = Period(
        start=datetime(1980, 1, 1, tzinfo=UTC), end=datetime(2035, 1, 1, tzinfo=UTC)
    )
    source = Source(catalog=str(path))
    try:
        found = search(make_job(sources=(source,), aoi=box(-180, -90, 180, 90), period=period))
    except CloudmaskError as raised:
        error = raised
    else:
        error = None
    if error is not None:
        assert str(error).strip()
        return
    assert all(each.reason.strip() for each in found.dropped)
    for item in found.items:
        # What later stages ask of it, up to writing it down.
        all_misplaced([item], [frame(item)])
        sensors.two_codes(item)
        json.dumps(
            item.to_dict(transform_hrefs=False), ensure_ascii=False, allow_nan=False
        ).encode()
