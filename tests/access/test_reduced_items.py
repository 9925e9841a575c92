"""What is kept of an item: enough for every decision, and no secret."""

import copy
import json
import pickle
from datetime import UTC, datetime

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import access, sensors
from pipeline.cube.metadata.hrefs import href_of
from pipeline.cube.metadata.roles import asset_keys, frame
from pipeline.errors import AssetError, RadiometryError

SECRET = "hUsh7Kq2xL9Zw"
HREF = f"https://a.org/B04.tif?file=B04&se=2030-01-01&sig={SECRET}"

ITEM = {
    "type": "Feature",
    "stac_version": "1.0.0",
    "id": "S2A_1",
    "collection": "sentinel-2-l2a",
    "geometry": {"type": "Point", "coordinates": [1.0, 2.0], "token": SECRET},
    "bbox": [1.0, 2.0, 1.0, 2.0],
    "properties": {
        "datetime": "2023-06-01T10:00:00Z",
        "platform": "sentinel-2a",
        "eo:cloud_cover": 12.5,
        "custom:clear": 0.5,
        "title": SECRET,
        "description": SECRET,
        "custom:anything": SECRET,
        "s2:product_uri": f"https://me:{SECRET}@a.org/S2A_N0509_.SAFE?token={SECRET}",
        "landsat:access_token": SECRET,
        "auth:schemes": {"x": {"apiKey": SECRET}},
        "storage:schemes": {"aws": {"access_key_id": SECRET}},
        "providers": [{"name": "x", "url": f"https://{SECRET}@a.org"}],
        "processing:software": {"x": f"https://a.org/?key={SECRET}"},
    },
    "links": [
        {"rel": "self", "href": f"https://me:{SECRET}@a.org/i.json?apikey={SECRET}"},
        {"rel": "license", "href": f"https://a.org/?code={SECRET}"},
        {
            "rel": "collection",
            "href": "https://a.org/c",
            "title": SECRET,
            "headers": {"Authorization": f"Bearer {SECRET}"},
            "body": {"token": SECRET},
        },
    ],
    "assets": {
        "red": {
            "href": HREF,
            "type": "image/tiff",
            "roles": ["data"],
            "title": SECRET,
            "description": SECRET,
            "auth:refs": [SECRET],
            "headers": {"X-Api-Key": SECRET},
            "raster:bands": [{"scale": 1e-4, "offset": -0.1, "description": SECRET}],
            "alternate": {
                "s3": {"href": f"https://b.org/B04.tif?X-Amz-Signature={SECRET}", "x": SECRET}
            },
        }
    },
    "token": SECRET,
}


def an_item():
    return pystac.Item.from_dict(copy.deepcopy(ITEM))


def test_no_secret_is_kept_and_the_links_still_open_in_this_run():
    item = access.reduce_item(an_item())
    document = item.to_dict(transform_hrefs=False)
    assert SECRET not in json.dumps(document)
    assert SECRET not in str(document)
    assert item.assets["red"].href == "https://a.org/B04.tif?file=B04"
    assert item.properties["custom:clear"] == 0.5
    for each in (item, item.clone(), copy.deepcopy(item)):
        assert href_of(each, "red") == HREF
    again = pystac.Item.from_dict(json.loads(json.dumps(document)))
    travelled = access.signed(again, pickle.loads(pickle.dumps(access.signatures(item))))
    assert href_of(travelled, "red") == HREF
    assert access.full_href(
        travelled.assets["red"].extra_fields["alternate"]["s3"]["href"]
    ).endswith(SECRET)


def test_a_link_whose_signature_is_gone_is_refused_in_words():
    """Without its parameters a link may open something else: another file, an older one."""
    kept = access.reduce_document(json.loads(json.dumps(ITEM)))
    with pytest.raises(AssetError, match=r"S2A_1.*red.*signatures are not kept.*new one"):
        href_of(pystac.Item.from_dict(kept), "red")
    # … also when it is searched again in a saved search,
    with pytest.raises(AssetError, match="signatures are not kept"):
        href_of(access.reduce_item(pystac.Item.from_dict(kept)), "red")
    # … but not where we sign ourselves, or nothing was taken off.
    kept["assets"]["red"]["href"] = "https://sentinel2l2a01.blob.core.windows.net/c/B04.tif"
    assert href_of(pystac.Item.from_dict(kept), "red").endswith("/c/B04.tif")
    ours = copy.deepcopy(ITEM)
    ours["assets"]["red"] = {"href": "https://a.org/B04.tif"}
    assert href_of(pystac.Item.from_dict(access.reduce_document(ours)), "red")


def test_what_is_kept_once_is_kept_as_it_is():
    once = access.reduce_document(ITEM)
    assert SECRET not in json.dumps(once)
    assert access.reduce_document(once) == once
    kept = access.reduce_item(an_item()).to_dict(transform_hrefs=False)
    assert access.reduce_document(kept) == json.loads(json.dumps(kept))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.text(max_size=10) | st.sampled_from(("proj:x", "href")), inner, max_size=3
            )
        ),
        max_leaves=8,
    )
)
def test_law_any_document_can_be_kept(value):
    for name in ITEM:
        once = access.reduce_document({**ITEM, name: value})
        assert access.reduce_document(once) == once


def decisions(item):
    found = {
        "origin": sensors.origin(item),
        "baseline": sensors.processing_baseline(item),
        "sun": sensors.sun(item),
        "place": item.get_self_href() and access.is_remote(item.get_self_href()),
    }
    try:
        profile = sensors.profile(item)
        offered = asset_keys(item)
        found |= {
            "sensor": profile.sensor,
            "offered": offered,
            "masks": profile.masks(item),
            "radiometry": {role: _radiometry(item, role) for role in offered},
            # Without the time, which a raw item of LandsatLook tells without its zone.
            "sighting": str(sensors.sighting(item)).partition("time=")[0],
            "rank": sensors.processing_rank(item),
            "frame": frame(item),
            "hrefs": {key: href_of(item, key) for key in offered.values()},
        }
    except RadiometryError as error:
        found["refused"] = str(error)
    return found


def _radiometry(item, role):
    try:
        return sensors.radiometry(item, role)
    except RadiometryError as error:
        return str(error)


def test_every_decision_about_the_real_items_is_as_before(shared_data):
    paths = sorted((shared_data / "stac_items").glob("*/*.json"))
    seen = 0
    for path in paths:
        document = json.loads(path.read_text())
        if document.get("type") != "Feature":
            continue
        before = decisions(pystac.Item.from_dict(copy.deepcopy(document), migrate=False))
        kept = access.reduce_item(pystac.Item.from_dict(copy.deepcopy(document), migrate=False))
        assert decisions(kept) == before, path
        stored = json.loads(json.dumps(kept.to_dict(transform_hrefs=False)))
        again = pystac.Item.from_dict(stored, migrate=False)
        after = decisions(again)
        if any("?" in each for each in before.get("hrefs", {}).values()):
            before.pop("hrefs"), after.pop("hrefs", None)
        assert after == before, path
        seen += 1
    assert seen > 100


def test_a_title_is_kept_where_it_is_the_name_of_a_product():
    """It may be all that tells an interim dataset of Digital Earth Australia from the final one."""

    def kept(title):
        properties = {"title": title}
        item = pystac.Item("one", None, None, datetime(2023, 6, 8, tzinfo=UTC), properties)
        return access.reduce_item(item).properties.get("title")

    name = "ga_s2bm_ard_3-2-1_32UPU_2023-06-08_interim"
    assert kept(name) == name
    assert kept(f"{name} token=s3cr3t") is None
    assert kept("A fine day s3cr3t") is None
