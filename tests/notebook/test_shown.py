"""What notebooks show: pictures with the right pixels, a legend, numbers; and that it is xarray all the same."""

import base64
import io
import pickle
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from PIL import Image

import cloudmask
from pipeline import store
from pipeline.notebook import Composites, Masks, Series
from pipeline.notebook.datasets import shown_as
from pipeline.types import LEGEND, USABLE

COLOURS = np.array([[*bytes.fromhex(each.colour[1:])] for each in LEGEND], np.uint8)


def pictures(html) -> list[np.ndarray]:
    found = re.findall(r"data:image/png;base64,([^\"]+)", html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(each)))) for each in found]


def rows(html) -> list[list[str]]:
    body = re.search(r"<tbody>(.*?)</tbody>", html, re.DOTALL)[1]
    return [
        re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", body)
    ]


@pytest.fixture(scope="module")
def masks(archive) -> Masks:
    return cloudmask.masks(archive)


def test_masks_show_their_latest_scenes_in_the_colours_of_the_legend(masks):
    html = masks._repr_html_()
    shown = pictures(html)
    assert len(shown) == 4
    for picture, scene in zip(shown, masks["mask"].to_numpy()[-4:], strict=True):
        assert np.array_equal(picture, COLOURS[scene])
    for each in LEGEND:
        assert each.label in html
        assert each.colour in html


def test_masks_show_the_shares_of_these_scenes(masks):
    for row, scene in zip(
        rows(masks._repr_html_()), masks["mask"].to_numpy()[-4:], strict=True
    ):
        seen = scene[scene > 0]
        assert float(row[2].split()[0]) == pytest.approx(
            100 * np.isin(seen, USABLE).mean(), abs=0.051
        )
        assert float(row[5].split()[0]) == pytest.approx(100 * (scene == 0).mean(), abs=0.051)


def test_what_xarray_derives_shows_itself_too(masks):
    one = masks.isel(time=0)
    assert isinstance(one, Masks)
    assert len(pictures(one._repr_html_())) == 1
    assert isinstance(masks.sel(x=slice(0, 503_000)), Masks)
    without = masks.drop_vars("mask")
    assert "<b>Masks</b>" not in without._repr_html_()
    assert "xr-wrap" in without._repr_html_()


def test_they_hold_what_the_store_holds(archive, region):
    plain = store.open_archive(region.url)
    for kind, ours, theirs in (
        (Masks, archive.masks("landsat"), plain.masks("landsat")),
        (Composites, archive.composite("monthly"), plain.composite("monthly")),
    ):
        assert type(ours) is kind
        xr.testing.assert_identical(shown_as(xr.Dataset, ours), theirs)
        assert ours.encoding == theirs.encoding
        for name, each in theirs.variables.items():
            # As text: a fill value may be NaN.
            assert repr(ours.variables[name].encoding) == repr(each.encoding)
        assert ours.odc.geobox == theirs.odc.geobox


def test_they_survive_pickling(masks):
    again = pickle.loads(pickle.dumps(masks))
    assert type(again) is Masks
    assert again.identical(masks)


def test_showing_a_dataset_leaves_it_as_it_was():
    plain = xr.Dataset({"mask": (("y", "x"), np.zeros((2, 2), np.uint8))})
    shown_as(Masks, plain)["more"] = 1
    assert type(plain) is xr.Dataset
    assert [*plain] == ["mask"]


def test_composites_show_periods_and_counts(archive):
    made = cloudmask.composite(archive, "monthly")
    html = made._repr_html_()
    assert len(pictures(html)) == 2
    for row, frame in zip(rows(html), made["count"].to_numpy(), strict=True):
        some = frame[frame > 0]
        assert row[1] == f"{100 * some.size / frame.size:.1f} %"
        assert [float(each) for each in row[2:]] == [some.min(), np.median(some), some.max()]


def test_one_period_without_colours_shows_its_counts(archive):
    html = cloudmask.composite(archive, "monthly", "2026-06", bands=["count"])._repr_html_()
    assert len(pictures(html)) == 1


def test_large_datasets_are_not_read(monkeypatch):
    monkeypatch.setattr("pipeline.notebook.datasets.MOST_PIXELS", 3)

    def read(*_):
        raise AssertionError("it was read")

    pixels = xr.DataArray(np.zeros((1, 2, 2), np.uint8), dims=("time", "y", "x"))
    monkeypatch.setattr(xr.Dataset, "load", read)
    assert "Too large" in Masks({"mask": pixels})._repr_html_()


def test_an_empty_selection_shows_itself(masks):
    assert "0 scenes" in masks.isel(time=slice(0, 0))._repr_html_()


def test_an_archive_shows_what_it_has(archive):
    html = archive._repr_html_()
    assert rows(html) == [
        ["masks", "landsat", "2 scenes", "2026-06-04", "2026-07-11"],
        ["masks", "sentinel-2", "3 scenes", "2026-06-01", "2026-07-02"],
        ["composite", "monthly", "2 periods", "2026-06-01", "2026-07-31"],
    ]
    assert archive.snapshot in html
    assert len(pictures(html)) == 1


def test_titles_are_escaped(archive, monkeypatch):
    monkeypatch.setattr(type(archive), "title", "<script>alert(1)</script>")
    assert "<script>" not in archive._repr_html_()


@pytest.fixture(scope="module")
def series(archive, region) -> Series:
    return cloudmask.clear_sky(archive, region.box(20, 30, 100, 150), "2026-04/2026-09")


def test_a_series_draws_its_numbers(series):
    ax = series.plot(Figure().subplots())
    lines = {each.get_label(): each.get_ydata() for each in ax.lines}
    for sensor in ("landsat", "sentinel-2"):
        expected = [
            s.percent(*USABLE) for s in series.scenes if s.sensor == sensor and s.is_there
        ]
        assert [*lines[sensor]] == expected


def test_a_series_shades_what_was_never_searched(series):
    unknown = [s for s in series.stretches if s.state in ("never searched", "partly searched")]
    assert unknown
    assert len(series.plot(Figure().subplots()).patches) == len(unknown)


def test_a_series_shows_chart_summary_and_scenes(series):
    html = series._repr_html_()
    assert len(pictures(html)) == 1
    assert len(rows(html)) == len(series.scenes)
    assert "never searched" in html


def test_plot_makes_a_figure_of_its_own(series):
    assert series.plot().figure.number in plt.get_fignums()
    plt.close("all")
