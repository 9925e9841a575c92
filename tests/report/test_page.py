"""The page is whole, loads nothing, and believes nothing."""

import dataclasses
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from pipeline.report import Material, choose_example, tables, write_report
from pipeline.report.page import render
from pipeline.report.tables import bars, mean_clear
from pipeline.report.words import duration, period_name, size
from pipeline.types import Series, Stretch

VOID = {"meta", "img", "input", "br", "hr", "link"}
SHAPES = {"rect"}


class Page(HTMLParser):
    """Checks that tags close in order, and collects what a browser would load."""

    def __init__(self, text):
        super().__init__()
        self.open, self.loads, self.tags, self.alts = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self._collect(tag, dict(attrs))

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID | SHAPES
        self._collect(tag, dict(attrs))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def _collect(self, tag, attrs):
        if tag == "img":
            self.alts.append(attrs["alt"])
        if tag != "a":
            self.loads += [
                attrs[key] for key in ("src", "href", "srcset", "data") if key in attrs
            ]


@pytest.fixture
def text(material, tmp_path):
    path = write_report(tmp_path / "new" / "report.html", material)
    return path.read_text(encoding="utf-8")


def test_it_is_one_whole_page_that_loads_nothing(text):
    page = Page(text)
    assert page.loads
    assert all(load.startswith("data:image/") for load in page.loads)
    assert "http://" not in text
    assert "https://" not in text
    assert not re.findall(r"@import|url\((?!#)", text)
    assert page.tags.count("img") == 3 + 2 * 3
    assert all(page.alts)


def test_it_says_what_was_done(text):
    for words in (
        "lake &amp; shore", "May 2024", "June 2024", "2024-05-01 to 2024-07-01", "EPSG:32632",
        "2 of 3", "2 min 05 s", "1CECHNKREP0F1RSTCMT0", "superseded by S2A_one",
        "HTTP 404 (tile r000c000)", "baseline 05.10", "1 min 23 s", "1.2 GB", "1 masked, 1 unreadable",
        "ukis-csmask-6b-l2a 1.0", "cloudmask query store",
    ):  # fmt: skip
        assert words in text
    assert "Against the truth" not in text


def test_names_from_catalogues_are_no_markup(text):
    assert "S2A_&lt;script&gt;alert" in text
    assert Page(text).tags.count("script") == 1


def test_it_can_be_made_from_a_record_alone(record, tmp_path):
    material = Material(
        record={**record, "snapshot": None, "tiles": []}, series=Series(scenes=())
    )
    text = write_report(tmp_path / "report.html", material).read_text()
    assert "nothing had changed" in text
    assert Page(text).loads == []


def test_accuracy_is_shown_where_it_is_known(material, tmp_path):
    measures = {
        f"{c}_{m}": 0.5
        for c in ("cloud", "shadow")
        for m in ("f1", "precision", "recall", "iou")
    }
    row = {
        **measures,
        "pixels": 1200,
        "clear_recall": 0.9,
        "thin_recall": 0.314,
        "overall_accuracy": 0.8,
        "cloud_difference": -1.25,
    }
    accuracy = {
        "masks": [
            {**row, "scene": "all scenes, pooled", "cloud_f1": 0.9432},
            {**row, "scene": "median of 1 scenes", "skipped": {}},
            {**row, "scene": "sentinel-2 2024-05-03 10:20", "shadow_f1": None},
        ],
        "composites": [
            {"composite": "monthly", "rmse": 0.0123, "period": "2024-05-01/2024-06-01", "scenes": 3, "pixels": 1175,
             "band": "nir", "unmasked": None, "truth_masked": 0.0081, "rmse_sure": 0.0077, "truth_masked_sure": None,
             "filled": 0.987, "filled_sure": 0.913}
        ],
    }  # fmt: skip
    text = write_report(
        tmp_path / "report.html", dataclasses.replace(material, accuracy=accuracy)
    ).read_text()
    Page(text)
    for words in (
        "Against the truth",
        "0.943",
        "0.314",
        "Every scene (1)",
        "0.0123",
        "0.0081",
        "0.0077",
        "0.913",
        "–",
    ):
        assert words in text


def test_the_page_says_what_is_doubtful_and_what_is_not_known(material, series, tmp_path):
    stretches = (
        Stretch(
            sensor="sentinel-2",
            start=datetime(2024, 5, 1, tzinfo=UTC),
            end=datetime(2024, 6, 1, tzinfo=UTC),
            state="never searched",
        ),
    )
    record = dict(material.record)
    record["models"] = {
        "sentinel-2": record["models"]["sentinel-2"] | {"limits": "no water or snow class"}
    }
    told = dataclasses.replace(
        material, record=record, series=dataclasses.replace(series, stretches=stretches)
    )
    text = write_report(tmp_path / "report.html", told).read_text()
    assert "cloud-free" not in text
    assert "2024-05-01 – 2024-05-31: never searched" in text
    assert "was masked by ukis-csmask-6b-l2a: no water or snow class" in text
    count = material.composites["monthly"]["count"].isel(time=0).to_numpy()
    one, two = (100 * (count == n).sum() / (count > 0).sum() for n in (1, 2))
    assert f"{one:.1f} % of that by one observation and {two:.1f} % by two (hatched)" in text


def test_a_long_series_of_large_composites_stays_small(material, tmp_path):
    rng = np.random.default_rng(5)
    n, edge = 24, 600
    box = GeoBox.from_bbox((0, 0, edge, edge), "EPSG:32632", resolution=1)
    dims, shape = ("time", "y", "x"), (n, edge, edge)
    times = np.datetime64("2022-01", "M") + np.arange(n + 1)
    noise = xr.Dataset(
        {band: (dims, rng.random(shape, dtype=np.float32)) for band in ("red", "green", "blue")}
        | {
            "count": (dims, rng.integers(1, 9, shape, dtype=np.uint16)),
            "day": (dims, rng.integers(19000, 19012, shape, dtype=np.int32)),
        },
        coords={
            "time": times[:-1].astype("datetime64[ns]"),
            "period_end": ("time", times[1:].astype("datetime64[ns]")),
            **xr_coords(box),
        },
    )
    # Noise is the worst case: no picture of the Earth compresses as badly.
    more = dataclasses.replace(material, composites={"monthly": noise}, masks={}, example=None)
    assert write_report(tmp_path / "report.html", more).stat().st_size < 5e6


def test_bars_fill_the_line(series):
    first, second, _ = bars(series)
    assert [share.kind for share in first.shares] == ["clear"]
    assert [share.kind for share in second.shares] == ["clear", "thick", "shadow", "nodata"]
    assert sum(share.percent for share in second.shares) == pytest.approx(100)
    assert mean_clear(series) == pytest.approx((100 + 2 * 500 / 9) / 3)
    assert mean_clear(Series(scenes=())) is None


def test_two_passes_of_a_day_have_bars_of_their_own(series):
    first = series.scenes[0]
    later = dataclasses.replace(first, time=first.time + timedelta(minutes=99))
    shown = bars(dataclasses.replace(series, scenes=(first, later)))
    assert len({bar.label for bar in shown}) == 2


def test_the_example_is_a_cloudy_scene(series):
    assert choose_example(series) is series.scenes[1]
    assert choose_example(Series(scenes=())) is None


def test_words(composites):
    times = [
        time.astype("datetime64[us]").item()
        for time in composites["monthly"]["time"].to_numpy()
    ]
    may, june = times
    assert period_name(may, june) == "May 2024"
    assert period_name(may.replace(month=1), may.replace(year=2025, month=1)) == "2024"
    assert period_name(may.replace(month=3), june) == "1 March 2024 – 31 May 2024"
    assert period_name(may, None) == "from 1 May 2024"
    assert [size(n) for n in (12, 12_345, 9.9e12)] == ["12 B", "12.3 kB", "9.9 TB"]
    assert [duration(s) for s in (3.21, 125, 7322)] == ["3.2 s", "2 min 05 s", "2 h 02 min"]


# -- the record --------------------------------------------------------------------------------


def with_manifest(record):
    """Return a record of two tiles, one of which lacks an item, and of what it cost."""
    rows = [
        {"tile": tile, "period": "2024-05-01/2024-06-01", "expected": [0, 1, 2], "cells": 3}
        for tile in ("r000c000", "r000c001")
    ]
    held = [
        rows[0] | {"dropped": [2], "complete": 2, "unreadable": 1},
        rows[1] | {"dropped": [], "complete": 3, "unreadable": 0},
    ]
    gone = {"item_id": "LC08_late", "reason": "HTTP 404 & gone", "tile": "r000c000"}
    network = {"bytes_fetched": 2_000_000, "requests": 1234, "device_seconds": 61.0}
    return record | {
        "manifest": held,
        "dropped": [*record["dropped"], gone],
        "stages": {"mask": record["stages"]["mask"] | network},
        "area_km2": 500.0,
        "scene_km2": 2000.0,
    }


def test_the_manifest_is_told_by_period_and_where_it_lacks_something(material):
    page = render(dataclasses.replace(material, record=with_manifest(material.record)))
    assert (
        "<td>2024-05-01 – 2024-05-31</td><td>2</td><td>6</td><td>5</td><td>3</td><td>1</td>"
        in page
    )
    assert "Where something is missing: 1 tile in a period" in page
    assert "<td>r000c000</td>" in page
    assert "2 of 3; 1 unreadable" in page
    assert "HTTP 404 &amp; gone" in page
    assert "<td>r000c001</td>" not in page


def test_items_are_counted_by_the_manifest(material):
    rows = {row.item_id: row.cells for row in tables.item_rows(with_manifest(material.record))}
    assert (rows["S2A_one"], rows["LC08_late"]) == (2, 1)


def test_cost_is_told_by_stage_and_by_area(material):
    record = with_manifest(material.record)
    page = render(dataclasses.replace(material, record=record))
    assert "<td>1.2 GB</td><td>17</td><td>2.0 MB</td><td>1,234</td>" in page
    assert "<td>2.5 GB</td><td>34</td><td>4.0 MB</td><td>2,468</td>" in page
    assert "(500 km² here)" in page
    assert " EUR" not in page
    bill = {
        "currency": "EUR",
        "parts": {"cpu": 0.5, "gpu": 0.0123},
        "total": 0.5123,
        "per_1000_km2": 1.0246,
        "per_1000_scene_km2": 0.256,
        "stored_a_month": None,
    }
    page = render(dataclasses.replace(material, record=record | {"bill": bill}))
    assert "0.51 EUR: cpu 0.50, gpu 0.012" in page
    assert "1.02 EUR for 1000 km² of ground, 0.26 EUR for 1000 km² of one scene" in page
    assert "a month" not in page


def test_what_is_not_known_is_a_dash(material):
    """Where GDAL tells nothing, and in records of before these numbers were kept."""
    cost = {"seconds": 1.0, "cpu_seconds": 2.0, "bytes_read": 3, "reads": 4}
    old = {
        key: value
        for key, value in material.record.items()
        if key not in ("manifest", "failure", "area_km2", "scene_km2", "bytes_stored", "bill")
    }
    page = render(dataclasses.replace(material, record=old | {"stages": {"mask": cost}}))
    assert "<td>2.0 s</td><td>–</td><td>3 B</td><td>4</td><td>–</td><td>–</td>" in page
    assert "1000 km²" not in page
    assert "Where something is missing" not in page


def test_most_gaps_are_told_elsewhere(material):
    record = with_manifest(material.record)
    many = [record["manifest"][0] | {"tile": f"r{n:03}c000"} for n in range(250)]
    page = render(dataclasses.replace(material, record=record | {"manifest": many}))
    assert "<td>r199c000</td>" in page
    assert "<td>r200c000</td>" not in page
    assert f"50 more: <code>cloudmask runs STORE --run {record['run_id']}</code>" in page
