"""Which items are processings of one acquisition: every catalogue's way of saying it."""

import copy
import itertools
import random
from datetime import UTC, datetime, timedelta

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import box, mapping

from pipeline import access, sensors
from pipeline.search.finding import keep_newest
from pipeline.sensors.names import names_of, parse_name
from tests.sensors.real_items import document, index, read

WHEN = datetime(2023, 6, 8, 10, 17, 30, tzinfo=UTC)
WHOLE = box(11.6, 48.0, 12.8, 49.0)
WEST, EAST = box(11.6, 48.0, 12.2, 49.0), box(12.1, 48.0, 12.8, 49.0)


def make_item(name, collection, when=WHEN, where=WHOLE, **properties):
    return pystac.Item(
        id=name,
        geometry=mapping(where),
        bbox=list(where.bounds),
        datetime=when,
        collection=collection,
        properties={
            key.replace("__", ":"): value
            for key, value in properties.items()
            if value is not None
        },
    )


def dea_s2(name, maturity, made=None, **more):
    told = {
        "title": f"ga_s2bm_ard_3-2-1_32UPU_2023-06-08_{maturity}",
        "odc__region_code": "32UPU",
        "platform": "sentinel-2b",
        "dea__dataset_maturity": maturity,
        "odc__processing_datetime": made,
    }
    return make_item(name, "ga_s2bm_ard_3", **{**told, **more})


def dea_landsat(name, maturity, made, **more):
    told = {
        "title": f"ga_ls8c_ard_3-2-1_193026_2023-06-08_{maturity}",
        "odc__region_code": "193026",
        "landsat__landsat_scene_id": "LC81930262023159LGN00",
        "platform": "landsat-8",
        "dea__dataset_maturity": maturity,
        "odc__processing_datetime": made,
    }
    return make_item(name, "ga_ls8c_ard_3", **{**told, **more})


def cdse(baseline, made, tile="32UPU", where=WHOLE, **more):
    name = f"S2B_MSIL2A_20230608T101559_N{baseline}_R065_T{tile}_{made}"
    return make_item(name, "sentinel-2-l2a", where=where, **more)


def look(name, collection="landsat-c2l2-sr", **more):
    return make_item(name, collection, **more)


def hls(name, collection, when=WHEN, **more):
    return make_item(name, collection, when, **more)


STRIP = "S2B_OPER_MSI_L2A_DS_{station}_{made}_S{sensed}_N05.00"

ONE_NEWEST_LAST = {
    "DEA Sentinel-2, maturity against time": [
        dea_s2("e", "nrt", "2023-09-09T00:00:00Z"),
        dea_s2("d", "interim", "2023-08-08T00:00:00Z"),
        dea_s2("c", "final", "2023-07-07T00:00:00Z"),
        dea_s2("b", "final", "2023-07-08T00:00:00Z"),
    ],
    "DEA Sentinel-2, by region and time alone": [
        dea_s2("b", "interim", title=None, platform=None),
        dea_s2("a", "final", title=None, platform=None),
    ],
    "DEA Sentinel-2, maturity in the title alone": [
        dea_s2(name, kind, dea__dataset_maturity=None, odc__region_code=None)
        for name, kind in (("c", "nrt"), ("b", "interim"), ("a", "final"))
    ],
    "DEA Landsat, by scene": [
        dea_landsat("b", "interim", "2023-06-09T06:00:00Z", title=None, odc__region_code=None),
        dea_landsat("a", "final", "2023-07-01T06:00:00Z", title=None, odc__region_code=None),
    ],
    "DEA Landsat, by region and time": [
        dea_landsat("b", "final", "2023-07-01T06:00:00Z", title=None),
        dea_landsat("a", "final", "2024-07-01T06:00:00Z", landsat__landsat_scene_id=None),
    ],
    "CDSE, by name": [cdse("0500", "20230609T010203"), cdse("0511", "20230609T010202")],
    "CDSE, by name, the same baseline": [
        cdse("0511", "20230608T140000"),
        cdse("0511", "20230609T010203"),
    ],
    "CDSE, by datastrip": [
        cdse(
            baseline,
            made,
            eopf__datastrip_id=STRIP.format(
                station="2BPS", made=made, sensed="20230608T101744"
            ),
            processing__version=version,
            grid__code="MGRS-32UPU",
        )
        for baseline, made, version in (
            ("0509", "20230608T140000", "05.09"),
            ("0511", "20250608T140000", "05.11"),
        )
    ],
    "Earth Search v0, by sequence": [
        make_item(f"S2B_32UPU_20230608_{n}_L2A", "sentinel-s2-l2a-cogs", platform="sentinel-2b")
        for n in (0, 1, 2, 10)
    ],
    "Earth Search v0, v1, and Collection 1": [
        make_item(
            "S2B_32UPU_20230608_0_L2A",
            "sentinel-s2-l2a-cogs",
            sentinel__product_id="S2B_MSIL2A_20230608T101559_N0400_R065_T32UPU_20230608T140000",
        ),
        make_item(
            "S2B_32UPU_20230608_1_L2A",
            "sentinel-2-l2a",
            s2__product_uri="S2B_MSIL2A_20230608T101559_N0509_R065_T32UPU_20230608T140000.SAFE",
        ),
        make_item(
            "S2B_T32UPU_20230608T101744_L2A",
            "sentinel-2-c1-l2a",
            when=WHEN + timedelta(milliseconds=1),
            s2__product_uri="S2B_MSIL2A_20230608T101559_N0510_R065_T32UPU_20240608T140000.SAFE",
        ),
    ],
    "Planetary Computer, whose time is that of the datatake": [
        make_item(
            f"S2B_MSIL2A_20230608T101559_R065_T32UPU_{made}",
            "sentinel-2-l2a",
            when=WHEN - timedelta(minutes=9),
            platform="Sentinel-2B",
            s2__mgrs_tile="32UPU",
        )
        for made in ("20230608T140000", "20240608T140000")
    ],
    "LandsatLook, RT and T1": [
        look("LC08_L2SP_193026_20230608_20230614_02_RT_SR"),
        look("LC08_L2SP_193026_20230608_20230613_02_T1_SR"),
    ],
    "LandsatLook, RT and T2, by properties": [
        look(
            "a",
            landsat__scene_id="LC81930262023159LGN00",
            landsat__collection_category=category,
            platform="LANDSAT_8",
        )
        for category in ("RT", "T2")
    ],
    "USGS, versions of a scene": [
        make_item(
            "LC08_L2SP_193026_20230608_02_T1",
            "landsat-c2-l2",
            landsat__scene_id=f"LC81930262023159LGN{n:02d}",
        )
        for n in (0, 1)
    ],
    "USGS, corrections and stations": [
        look(
            "LT05_L2SR_193026_20100609_20200901_02_T2",
            landsat__scene_id="LT51930262010160KIS00",
        ),
        look(
            "LT05_L2SP_193026_20100609_20200902_02_T1",
            landsat__scene_id="LT51930262010160MOR00",
        ),
    ],
    "HLS v1.5 and v2.0": [
        hls("HLS.L30.T32UPU.2023159T101730.v1.5", "HLSL30.v1.5"),
        hls("HLS.L30.T32UPU.2023159T101731.v2.0", "HLSL30_2.0"),
    ],
    "HLS, processed again": [
        hls("HLS.S30.T32UPU.2023159T101559.v2.0", collection, created=made)
        for collection, made in (
            ("hls2-s30", "2023-06-10T00:00:00Z"),
            ("HLSS30_2.0", "2023-07-10T00:00:00Z"),
        )
    ],
    "told by processing:datetime": [
        make_item(
            "a", "sentinel-2-l2a", platform="s2b", grid__code="32UPU", processing__datetime=made
        )
        for made in ("2023-06-09T23:00:00-02:00", "2023-06-10T02:00:00Z")
    ],
    "told by updated alone": [
        make_item("a", "sentinel-2-l2a", platform="s2b", grid__code="32UPU", updated=made)
        for made in ("2023-06-09T23:00:00-02:00", "2023-06-10T02:00:00Z")
    ],
}


@pytest.mark.parametrize("name", ONE_NEWEST_LAST)
def test_processings_of_one_acquisition_are_recognised_and_the_newest_is_kept(name):
    # As a search has them.
    items = [access.reduce_item(item.clone()) for item in ONE_NEWEST_LAST[name]]
    for order in itertools.permutations(items):
        (kept,), dropped = keep_newest(list(order))
        assert kept is items[-1]
        assert len(dropped) == len(items) - 1
        assert all(each.reason.startswith("replaced by newer processing ") for each in dropped)


def strips(*sensed, **more):
    """Return items of one tile and day, each of a datastrip of its own."""
    return [
        cdse(
            "0511",
            f"20230608T14000{n}",
            s2__datastrip_id=STRIP.format(
                station=station, made="20230608T140000", sensed=start
            ),
            **more,
        )
        for n, (station, start) in enumerate(zip(("2BPS", "MPS_"), sensed, strict=True))
    ]


ALL_KEPT = {
    "two datastrips": strips("20230608T101744", "20230608T101801"),
    "halves of a tile without a datastrip": [
        cdse("0511", "20230608T140000", where=WEST),
        cdse("0511", "20230608T140001", where=EAST),
    ],
    "a half and the whole": [
        cdse("0500", "20230608T140000", where=WHOLE),
        cdse("0511", "20230608T140001", where=WEST),
    ],
    "two tiles": [
        cdse("0511", "20230608T140000", "32UPU"),
        cdse("0511", "20230608T140000", "32UQU"),
    ],
    "two platforms": [
        make_item(f"S2{letter}_32UPU_20230608_0_L2A", "sentinel-2-l2a") for letter in "AB"
    ],
    "two orbits of a platform": [
        make_item(
            f"{n}",
            "sentinel-2-l2a",
            WHEN + timedelta(minutes=99 * n),
            platform="sentinel-2b",
            s2__mgrs_tile="32XNR",
        )
        for n in (0, 1)
    ],
    "levels": [
        make_item("S2B_32UPU_20230608_0_L2A", "sentinel-2-l2a"),
        make_item("S2B_32UPU_20230608_0_L1C", "sentinel-2-l1c"),
    ],
    "corrections": [
        make_item("S2B_32UPU_20230608_0_L2A", "sentinel-2-l2a"),
        dea_s2("a", "final"),
    ],
    "rows and days": [
        look("LC08_L2SP_193026_20230608_20230614_02_T1_SR"),
        look("LC08_L2SP_193027_20230608_20230614_02_T1_SR"),
        look("LC08_L2SP_193026_20230624_20230628_02_T1_SR", when=WHEN + timedelta(16)),
        look("LE07_L2SP_193026_20230608_20230614_02_T1_SR"),
    ],
    "HLS products and passes": [
        hls("HLS.L30.T32XNR.2023159T101730.v2.0", "HLSL30_2.0"),
        hls("HLS.S30.T32XNR.2023159T101559.v2.0", "HLSS30_2.0"),
        hls("HLS.S30.T32XNR.2023159T102601.v2.0", "HLSS30_2.0"),
        hls("HLS.L30.T32XNR.2023159T115630.v2.0", "HLSL30_2.0", WHEN + timedelta(minutes=99)),
    ],
    "nothing that tells": [
        make_item(name, "sentinel-2-l2a", platform="sentinel-2b") for name in "ab"
    ],
    "nothing that is known": [make_item(name, "nobody-knows") for name in "ab"],
}


@pytest.mark.parametrize("name", ALL_KEPT)
def test_what_holds_other_pixels_is_kept(name):
    kept, dropped = keep_newest(list(ALL_KEPT[name]))
    assert {id(item) for item in kept} == {id(item) for item in ALL_KEPT[name]}
    assert not dropped


def test_a_touched_item_is_no_other_processing():
    """What makes a mask anew is the rank, which ``updated`` alone does not change."""
    one, other = ONE_NEWEST_LAST["told by updated alone"]
    assert sensors.processing_rank(one) == sensors.processing_rank(other)


def test_real_items_whatever_their_order(shared_data):
    """Copies and reprocessings are found, and nothing else: 24 of the 199 are replaced."""
    items = [read(shared_data, name) for name in sorted(index(shared_data))]
    for item in items:
        item.datetime = item.datetime.replace(tzinfo=item.datetime.tzinfo or UTC)
    kept, dropped = keep_newest(items)
    assert len(kept) + len(dropped) == 199
    assert len(dropped) == 24
    shuffled = random.Random(0).sample(items, 199)
    again, _ = keep_newest(shuffled)
    assert [id(item) for item in again] == [id(item) for item in kept]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
NAMES = sorted(
    {name for each in ONE_NEWEST_LAST.values() for item in each for name in item.properties}
    | {
        "sat:relative_orbit",
        "landsat:wrs_path",
        "landsat:wrs_row",
        "mgrs:utm_zone",
        "s2:sequence",
    }
)


@given(
    st.sampled_from([item for each in ONE_NEWEST_LAST.values() for item in each]),
    st.dictionaries(st.sampled_from(NAMES), json_values, max_size=6),
    st.text(min_size=1, max_size=9),
)
def test_properties_of_any_kind_never_raise(item, wrong, name):
    changed = copy.deepcopy(item)
    changed.properties.update(wrong)
    changed.id = name
    assert len(sensors.newest([item, changed])) == 2
    sensors.processing_rank(changed)
    sensors.sighting(changed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("S2A_MSIL2A_20200703T103031_N0500_R108_T32TMT_20230613T212700.SAFE",
         ("sentinel-2a", "32TMT", "R108", (5, 0))),
        ("S2A_MSIL2A_20190101T000001_R116_T58UFE_20201007T214651",
         ("sentinel-2a", "58UFE", "R116", ())),
        ("S2B_1KAB_20230821_0_L2A", ("sentinel-2b", "01KAB", "", ())),
        ("LC08_L2SP_005009_20150710_20200908_02_T2_SR", ("landsat-8", "005009", "P5", ())),
        ("LE70210302010009EDC00", ("landsat-7", "021030", "P21", ())),
        ("HLS.S30.T19LDD.2022166T144741.v2.0.B02.tif",
         ("", "19LDD", "D20220615T144741", (2, 0))),
        ("ga_s2am_ard_3-2-1_49JFM_2016-12-14_final", ("sentinel-2a", "49JFM", "", ())),
    ],
)  # fmt: skip
def test_names_are_understood(text, expected):
    named = parse_name(text)
    assert named is not None
    assert (named.platform, named.tile, named.orbit, named.version) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "S2A",
        "HLS.S30.T19LDD.2022999T144741.v2",
        "LC08",
        7,
        None,
        "XS2A_32UPU_20230608_0_L2A",
    ],
)
def test_what_is_no_name_says_nothing(text):
    named = parse_name(text)
    assert named is None or (named.taken, named.sensed) == (None, None)


def test_the_files_of_an_item_tell_what_its_id_does_not(shared_data):
    name = next(each for each in index(shared_data) if each.startswith("cmr_stac"))
    assert document(shared_data, name)["id"].startswith("G1")
    told = names_of(read(shared_data, name))
    assert told[0].version == (1, 5)
    assert told[0].tile
