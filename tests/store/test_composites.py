"""Composites and items: written = read, within half a stored step."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import rioxarray  # noqa: F401
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline import store
from pipeline.errors import StoreError
from pipeline.store.arrays.composites import encode_reflectance
from pipeline.store.base.location import StoreLocation


@given(
    hnp.arrays(
        np.float32,
        5,
        elements=st.floats(-3.25, 3.25, width=32) | st.just(np.nan),
    )
)
def test_reflectance_is_kept_to_half_a_step(values):
    stored = encode_reflectance(values)
    missing = np.isnan(values)
    assert ((stored == -32768) == missing).all()
    kept = values[~missing].astype("float64")
    assert (np.abs(stored[~missing] * 1e-4 - kept) <= 0.5e-4 * (1 + 1e-9)).all()


@pytest.mark.parametrize("value", [3.3, -3.3, 295.0, np.inf, -np.inf])
def test_what_has_no_place_in_16_bits_is_refused(value):
    """It was stored as 3.2767, without a word."""
    with pytest.raises(StoreError, match=r"pixels of a composite \(1\) are beyond"):
        encode_reflectance(np.array([0.1, value, np.nan], np.float32))


def test_written_is_read(make, url):
    grid = make.grid()
    with store.open_writer(url, grid, title="", run_key="run") as writer:
        writer.set_composite(
            "monthly", make.roles, [make.july, make.june], {"method": "median"}
        )
        for tile in grid.tiles():
            made = make.composite(tile, seed=tile.row)
            writer.write_composite("monthly", make.june.start, tile, made, 70 + tile.row)
        assert writer.composite_fingerprints("monthly")[make.june.start][2, 0] == 72
        writer.publish({})
    archive = store.open_archive(url)
    assert archive.composite_names == ("monthly",)
    read = archive.composite("monthly")
    assert read.attrs["method"] == "median"
    assert read["fingerprint"].to_numpy()[:, :, 0].tolist() == [[70, 71, 72], [0, 0, 0]]
    assert [read[name].dtype for name in ("red", "count", "day", "source")] == [
        np.float32,
        np.uint16,
        np.int32,
        np.int32,
    ]
    for tile in grid.tiles():
        made, cell = make.composite(tile, seed=tile.row), read.isel(time=0)
        for name in ("count", "day", "source"):
            np.testing.assert_array_equal(cell[name].to_numpy()[tile.window], made[name])
        for name in make.roles:
            expected = np.clip(made[name].to_numpy(), -3.2767, 3.2767)
            got = cell[name].to_numpy()[tile.window]
            np.testing.assert_allclose(got, expected, rtol=0, atol=0.51e-4)
    empty = read.isel(time=1)
    assert np.isnan(empty["red"].to_numpy()).all()
    assert not empty["count"].to_numpy().any()
    assert (empty["day"].to_numpy() == -1).all()
    assert (empty["source"].to_numpy() == -1).all()
    assert read["red"].odc.geobox == grid.geobox
    assert read["red"].rio.crs.to_epsg() == 32632


def test_bounds_of_periods_are_times(make, url):
    with store.open_writer(url, make.grid(), title="", run_key="run") as writer:
        writer.set_composite("monthly", make.roles, [make.july, make.june], {})
        writer.publish({})
    archive = store.open_archive(url)
    plain = xr.open_zarr(archive._session.store, group="composites/monthly", consolidated=False)
    for read in (archive.composite("monthly"), plain.sortby("time")):
        assert read["time_bnds"].to_numpy().astype("M8[D]").astype(str).tolist() == [
            ["2026-06-01", "2026-07-01"],
            ["2026-07-01", "2026-08-01"],
        ]
    assert archive.composite("monthly")["day"].dtype == np.int32


def test_others_read_days_as_dates_and_no_day_as_none(make, url):
    grid = make.grid()
    with store.open_writer(url, grid, title="", run_key="run") as writer:
        writer.set_composite("monthly", make.roles, [make.june], {})
        made = make.composite(grid.tile(0, 0))
        writer.write_composite("monthly", make.june.start, grid.tile(0, 0), made, 70)
        writer.publish({})
    archive = store.open_archive(url)
    ours = archive.composite("monthly")["day"]
    plain = xr.open_zarr(archive._session.store, group="composites/monthly", consolidated=False)
    assert plain["day"].dtype.kind == "M"
    days = ours.to_numpy().astype("datetime64[D]")
    expected = np.where(ours.to_numpy() < 0, np.datetime64("NaT"), days)
    np.testing.assert_array_equal(plain["day"].to_numpy().astype("datetime64[D]"), expected)
    assert (ours.to_numpy() == -1).any()
    assert "units" not in ours.attrs


def test_the_archive_knows_what_its_runs_searched(make, url):
    searched = {
        "start": "2023-04-01T00:00:00+00:00",
        "end": "2023-07-01T00:00:00+00:00",
        "sensors": ["sentinel-2"],
        "aoi": {"type": "Point", "coordinates": [1, 2]},
        "filtered": True,
    }
    for record in ({"run_id": "a"}, {"run_id": "b", "searched": searched}):
        with store.open_writer(url, make.grid(), title="", run_key="run") as writer:
            writer.item_positions([record["run_id"]], [{"id": record["run_id"]}])
            writer.publish(record)
    archive = store.open_archive(url)
    (found,) = archive.searched()
    assert (found.start.month, found.end.month, found.filtered) == (4, 7, True)
    assert found.has("sentinel-2")
    assert not found.has("landsat")
    assert [each.get("searched") for each in archive.records()] == [None, searched]


def test_periods_never_overlap(make, url):
    """Nor do two methods share a composite, whose attributes tell of all of its steps."""
    longer = replace(make.june, end=make.july.end)
    by_month = {"method": "median", "period": "month", "sensors": ["sentinel-2"]}
    with store.open_writer(url, make.grid(), title="", run_key="run") as writer:
        writer.set_composite("monthly", make.roles, [make.june], by_month)
        with pytest.raises(StoreError, match=r"2026-06-01 to 2026-07-01.*another name"):
            writer.set_composite("monthly", make.roles, [longer], {})
        for other in ({"period": "season"}, {"method": "mean"}):
            with pytest.raises(StoreError, match="another one|another name"):
                writer.set_composite("monthly", make.roles, [make.june], by_month | other)
        writer.set_composite(
            "monthly", make.roles, [make.july], by_month | {"sensors": ["hls"]}
        )
        writer.publish({})
    archive = store.open_archive(url)
    assert archive.composed_of("monthly") == ("hls", "sentinel-2")
    archive.require_composite("monthly", make.roles, by_month)
    with pytest.raises(StoreError, match="composite.period month, the job asks for year"):
        archive.require_composite("monthly", make.roles, {"period": "year"})


def test_other_bands_need_another_name(make, url):
    with store.open_writer(url, make.grid(), title="", run_key="run") as writer:
        writer.set_composite("monthly", make.roles, [make.june], {})
        with pytest.raises(StoreError, match="another name"):
            writer.set_composite("monthly", ["red"], [make.june], {})
        tile = make.grid().tile(0, 0)
        with pytest.raises(StoreError, match="no period of monthly at 2026-07"):
            writer.write_composite("monthly", make.july.start, tile, xr.Dataset(), 5)


def test_items_keep_their_positions(make, url):
    ids, documents = make.documents(70)
    with store.open_writer(url, make.grid(), title="", run_key="run") as writer:
        assert writer.item_positions(ids[:40], documents[:40]) == list(range(40))
        assert writer.item_positions(ids[30:][::-1], documents[30:][::-1]) == [
            *range(40, 70),
            *range(39, 29, -1),
        ]
        writer.publish({"run_id": "a"})
    archive = store.open_archive(url)
    assert sorted(archive.item_ids) == sorted(ids)
    assert [each["id"] for each in archive.items()] == archive.item_ids


def test_documents_change_only_with_properties(make, url):
    ids, (document,) = make.documents(1)
    signed = {**document, "assets": {"red": {"href": "https://x?sig=2"}}}
    touched = {**document, "properties": document["properties"] | {"updated": "today"}}
    again = {**document, "properties": {"s2:processing_baseline": "05.11"}}
    with store.open_writer(url, make.grid(), title="", run_key="run") as writer:
        writer.item_positions(ids, [document])
        tip = writer.commit("item")
        assert writer.item_positions(ids, [signed]) == [0]
        assert writer.item_positions(ids, [touched]) == [0]
        assert writer.commit("nothing") == tip
        assert writer.item_positions(ids, [again]) == [0]
        writer.publish({})
    assert store.open_archive(url).items() == [again]
    with (
        store.open_writer(url, make.grid(), title="", run_key="run") as writer,
        pytest.raises(ValueError, match="come twice"),
    ):
        writer.item_positions(["a", "a"], [{}, {}])


def with_score(made):
    return made.assign(score=(("y", "x"), np.where(made["count"] == 0, np.nan, 0.25)))


@pytest.mark.parametrize("rival", [False, True])
def test_layers_of_a_method_are_written_and_read(make, url, rival, monkeypatch):
    """Also on top of what another run has published meanwhile."""
    monkeypatch.setattr(StoreLocation, "lock", lambda _: nullcontext())
    grid = make.grid()
    tile = grid.tile(1, 0)
    made = with_score(make.composite(tile))
    made_by = {"method": "best", "period": "month", "options": '{"q": 1}', "layers": ["score"]}
    with store.open_writer(url, grid, title="", run_key="run", overviews=True) as writer:
        if rival:
            with store.open_writer(url, grid, title="", run_key="rival") as other:
                other.set_composite("other", make.roles, [make.july], {"method": "median"})
                other.publish({})
        layers = {"score": "how good it is"}
        writer.set_composite("monthly", make.roles, [make.june], made_by, layers=layers)
        writer.write_composite("monthly", make.june.start, tile, made, 70)
        writer.publish({})
    read = store.open_archive(url).composite("monthly").load()
    assert read["score"].dtype == np.float32
    assert read["score"].attrs["long_name"] == "how good it is"
    assert read["score"].attrs["units"] == "1"
    cell = read["score"].isel(time=0).to_numpy()
    np.testing.assert_array_equal(cell[tile.window], made["score"].astype(np.float32))
    assert np.isnan(np.delete(cell, np.r_[tile.window[0]], axis=0)).all()
    archive = store.open_archive(url)
    archive.require_composite("monthly", make.roles, made_by)
    for other in ({"options": '{"q": 2}'}, {"options": None}, {"layers": None}):
        with pytest.raises(StoreError, match=r"is made with .*another name"):
            archive.require_composite("monthly", make.roles, made_by | other)
