"""Questions by the map: the clear sky of an area, the history of a place; the numbers are those of the API."""

import csv
import io
import json

import numpy as np
import pytest
import shapely

from pipeline import store
from tests.serve.browser.page import number, serving
from tests.serve.region import Region, fill, fill_masks, record


def series_of(page, area, **params):
    feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(area)}
    asked = page.context.request.post(
        page.url + "archives/alps/clear-sky", data=feature, params=params
    )
    assert asked.ok
    return asked


def polygon_of(page) -> shapely.Polygon:
    """Return the area of the hash."""
    numbers = [float(each) for each in page.state["area"].split(",")]
    return shapely.Polygon(list(zip(numbers[::2], numbers[1::2], strict=True)))


def shown_series(page) -> list[tuple[str, str, float]]:
    page.page.wait_for_selector("#chart .uplot")
    return [(time, sensor, number(clear)) for time, sensor, clear, _ in page.rows("#scenes")]


def expected_series(found) -> list[tuple[str, str, float]]:
    scenes = [row for row in found["data"] if row["state"] == "scene"]
    return [
        (
            row["interval"]["from"][:16].replace("T", " "),
            row["sensor"],
            pytest.approx(row["clear_percent"], abs=0.051),
        )
        for row in scenes
    ]


def test_a_drawn_polygon_shows_the_numbers_of_the_api(page, region):
    page.ready()
    page.page.locator("#draw").click()
    page.page.wait_for_selector("#drawing:not([hidden])")
    corners = [region.lonlat(*at) for at in ((20, 30), (110, 40), (100, 150), (30, 160))]
    for corner in [*corners, corners[0]]:
        page.click_map(*corner)
        page.page.wait_for_timeout(120)
    shown = shown_series(page)
    drawn = polygon_of(page)
    assert drawn.symmetric_difference(shapely.Polygon(corners)).area < 0.02 * drawn.area
    found = series_of(page, drawn).json()
    assert shown == expected_series(found)
    told = page.page.locator(".numbers").evaluate(
        "list => Object.fromEntries([...list.children].map(row => [...row.children].map(each => each.textContent)))"
    )
    assert told["Scenes"] == str(found["summary"]["scenes"])
    assert told["Clear dates"] == str(found["summary"]["clear_dates"])
    assert number(told["Median clear"]) == pytest.approx(
        found["summary"]["median_clear_percent"], abs=0.051
    )
    assert told["Longest gap"] == f"{found['summary']['longest_gap_days']} days"


def test_drawing_is_given_up_by_escape(page):
    page.ready()
    page.page.keyboard.press("d")
    page.page.wait_for_selector("#drawing:not([hidden])")
    page.page.keyboard.press("Escape")
    assert page.page.locator("#drawing").is_hidden()
    assert "area" not in page.state


def test_dates_that_were_never_searched_are_named(page, region):
    page.ready()
    page.page.keyboard.press("v")
    page.page.wait_for_selector("#chart .uplot")
    found = series_of(page, polygon_of(page)).json()
    gaps = [row for row in found["data"] if row["state"] == "not archived"]
    shown = page.page.locator(".unknown")
    assert shown.count() == bool(gaps)
    for row in gaps[:4]:
        assert row["interval"]["from"][:10] in shown.inner_text()


def test_the_chart_zooms_and_a_click_shows_the_scene(page):
    page.ready()
    page.page.keyboard.press("v")
    page.page.wait_for_selector("#chart .uplot")
    chart = page.page.locator("#chart .u-over")
    box = chart.bounding_box()
    page.page.mouse.move(1, 1)
    whole = page.picture("#chart canvas")
    page.page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + 160, box["y"] + 60, steps=4)
    page.page.mouse.up()
    page.page.wait_for_timeout(200)
    assert page.picture("#chart canvas") != whole
    chart.dblclick(position={"x": 200, "y": 40})
    page.page.wait_for_timeout(200)
    page.page.locator("#chart .u-over").click(position={"x": 4, "y": 40})
    first = page.rows("#scenes")[0][0]
    assert first[:10] in page.text("#scene")


def test_the_csv_is_that_of_the_api(page, tmp_path):
    page.ready()
    page.page.keyboard.press("v")
    page.page.wait_for_selector("#chart .uplot")
    with page.page.expect_download() as coming:
        page.page.locator("#csv").click()
    coming.value.save_as(tmp_path / "series.csv")
    text = (tmp_path / "series.csv").read_bytes().decode()
    assert text == series_of(page, polygon_of(page), f="csv").text()
    assert len(list(csv.DictReader(io.StringIO(text)))) > 0


def upload(page, tmp_path, content: str) -> None:
    (tmp_path / "fields.geojson").write_text(content)
    page.page.locator("#file").set_input_files(tmp_path / "fields.geojson")


def test_uploaded_fields(page, region, tmp_path):
    page.ready()
    fields = {"north": region.box(10, 10, 80, 80), "south": region.box(20, 120, 90, 200)}
    features = [
        {
            "type": "Feature",
            "properties": {"name": name},
            "geometry": shapely.geometry.mapping(area),
        }
        for name, area in fields.items()
    ]
    upload(page, tmp_path, json.dumps({"type": "FeatureCollection", "features": features}))
    north = shown_series(page)
    assert north == expected_series(series_of(page, polygon_of(page)).json())
    page.page.locator("#feature").select_option(label="south")
    page.page.wait_for_timeout(300)
    assert shown_series(page) == expected_series(series_of(page, polygon_of(page)).json())
    beside = polygon_of(page).symmetric_difference(fields["south"])
    assert beside.area < 1e-2 * fields["south"].area


@pytest.mark.parametrize(
    "content", ["", "{", '{"type": "Point", "coordinates": [1, 2]}', "null"]
)
def test_a_file_that_is_no_area_is_refused_with_words(page, tmp_path, content):
    page.ready()
    upload(page, tmp_path, content)
    page.page.wait_for_selector("#notices p")
    assert "fields.geojson" in page.text("#notices")


def test_an_area_elsewhere_shows_what_the_api_says(new_page):
    page = new_page("#area=0,0,1,0,1,1").ready()
    page.page.wait_for_selector(".problem")
    asked = page.context.request.post(
        page.url + "archives/alps/clear-sky",
        data={"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
    )
    assert asked.status >= 400
    assert page.text(".problem") == asked.json()["detail"]
    # Chromium tells refused requests on the console.
    assert all(str(asked.status) in each for each in page.errors)
    page.errors.clear()


def test_a_click_tells_the_history_of_the_pixel(page, region):
    page.ready()
    lon, lat = region.lonlat(60.5, 70.5)
    page.click_map(lon, lat)
    page.page.wait_for_selector("#observations")
    lon, lat = map(float, page.state["point"].split(","))
    found = page.context.request.get(
        page.url + "archives/alps/point", params={"lon": lon, "lat": lat}
    ).json()
    labels = {
        each["value"]: each["label"]
        for each in page.context.request.get(page.url + "archives/alps").json()["classes"]
    }
    expected = [
        [
            each["time"][:16].replace("T", " "),
            "not read" if each["class_name"] == "unread" else labels[each["class"]],
        ]
        for each in found["observations"][::-1]
    ]
    assert [row[:2] for row in page.rows("#observations")] == expected
    monthly = page.rows("#composite-monthly")
    assert [row[0] for row in monthly] == [each["period"] for each in found["composites"]]
    for row, each in zip(monthly, found["composites"], strict=True):
        assert row[1] == str(each["count"])
        assert row[-1] == (each["item"] or "–")
    links = page.page.locator("#composite-monthly a").evaluate_all(
        "all => all.map(a => a.href)"
    )
    assert links == [each["item_href"] for each in found["composites"] if each["item"]]


def test_titles_are_text_and_never_markup(new_page, region):
    markup = "<img src=x onerror=alert(1)>"

    def renamed(route):
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace("A region", markup))

    page = new_page()
    page.page.route("**/archives", renamed)
    page.page.route("**/archives/alps", renamed)
    page.page.reload()
    page.ready()
    assert page.text("#archive").strip() == markup
    assert page.page.locator("img[src=x]").count() == 0


def publish_again(region) -> str:
    """Publish the masks of a sensor again."""
    with store.open_writer(region.url, region.grid, title="A region", run_key="k2") as writer:
        fill_masks(region, writer, "landsat", (3, 40), np.random.default_rng(5), (900, True))
        return writer.publish(record(5))


def test_a_new_snapshot_is_taken_over(new_page, tmp_path):
    made = Region(str(tmp_path / "store"))
    first = fill(made)
    with serving({"alps": made.url}, refresh_s=0.1) as url:
        page = new_page(url=url)
        page.page.clock.install()
        page.page.reload()
        page.page.wait_for_selector("body[data-ready]")
        second = publish_again(made)
        assert second != first
        page.page.clock.run_for(31_000)
        page.page.wait_for_function(
            "snapshot => document.getElementById('facts').textContent.includes(snapshot)",
            arg=second,
        )
        page.close()  # before its server is gone
