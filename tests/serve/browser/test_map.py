"""The map: layers, dates, classes, swipe, the URL, keys, themes and phones."""

import re

import pytest

from tests.serve.browser.page import PHONE, serving

OBSTRUCTED = "4,5,6"


def json_of(page, path):
    return page.context.request.get(page.url + path).json()


@pytest.fixture
def described(page):
    return json_of(page, "archives/alps")


def test_the_first_paint_comes_soon(page):
    page.ready()
    paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    assert page.page.evaluate(paint) < 1500


def test_it_runs_no_inline_script(page):
    policy = page.page.request.get(page.url).headers["content-security-policy"]
    scripts = re.search(r"script-src ([^;]*)", policy)
    assert scripts
    assert scripts[1] == "'self'"
    assert "<script>" not in page.page.request.get(page.url).text()


def test_it_opens_with_the_latest_scene(page, described):
    page.ready()
    latest = described["scenes"][-1]
    assert latest["time"][:10] in page.text("#scene")
    assert f"{latest['clear_percent']:.1f}" in page.text("#scene")
    assert page.tiles(layer="mask", time=latest["time"], classes=OBSTRUCTED)
    assert page.tiles(layer="composite", name="monthly", bands="red,green,blue")


def test_all_tiles_are_of_one_snapshot(page, described):
    page.ready()
    assert {each["as_of"] for each in page.tiles()} == {described["snapshot"]}


def test_the_strip_is_a_slider_of_all_scenes(page, described):
    page.ready()
    strip = page.page.locator("#strip")
    assert strip.get_attribute("aria-valuemax") == str(len(described["scenes"]) - 1)
    strip.focus()
    before = page.picture()
    for key, position in (
        ("Home", 0),
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("End", -1),
        ("ArrowLeft", -2),
    ):
        strip.press(key)
        scene = described["scenes"][position]
        assert strip.get_attribute("aria-valuetext").startswith(scene["time"][:10])
    page.idle()
    assert page.tiles(layer="mask", time=described["scenes"][-2]["time"])
    assert page.state["time"] == described["scenes"][-2]["time"]
    assert page.picture() != before


def test_a_click_on_the_strip_chooses_the_nearest_scene(page, described):
    page.ready()
    page.page.locator("#strip").click(position={"x": 3, "y": 20})
    assert page.state["time"] == described["scenes"][0]["time"]
    june = described["composites"][0]["periods"][0]["name"]
    page.idle()
    assert page.tiles(layer="composite", time=june)


def test_the_wheel_zooms_the_dates(page):
    page.ready()
    page.page.locator("#strip").hover()
    page.page.mouse.wheel(0, -600)
    page.page.locator("#whole").click()
    assert page.page.locator("#whole").is_hidden()


def test_the_legend_switches_classes(page, described):
    page.ready()
    labels = page.page.locator("#legend label")
    assert labels.all_inner_texts() == [each["label"] for each in described["classes"][1:]]
    before = page.picture()
    labels.filter(has_text="thick cloud").locator("input").uncheck()
    page.idle()
    assert page.state["classes"] == "4,6"
    assert page.tiles(layer="mask", classes="4,6")
    assert page.picture() != before


def test_layers_and_opacity(page):
    page.ready()
    seen = {page.picture()}
    for act in (
        lambda: page.page.locator("#show-mask").uncheck(),
        lambda: page.page.locator("#show-composite").uncheck(),
        lambda: page.page.locator("#show-mask").check(),
        lambda: page.page.locator("#mask-opacity").fill("20"),
    ):
        act()
        page.idle()
        seen.add(page.picture())
    assert len(seen) == 5
    assert page.state["show"] == "mask"
    assert page.state["mo"] == "20"


@pytest.mark.parametrize("bands", ["nir,red,green", "ndvi", "count", "day", "score"])
def test_band_combinations(page, bands):
    page.ready()
    before = page.picture()
    page.page.locator("#bands").select_option(bands)
    page.idle()
    assert page.tiles(layer="composite", bands=bands)
    assert page.picture() != before


def test_a_combination_of_ones_own(page):
    page.ready()
    page.page.locator("#bands").select_option("own")
    page.page.get_by_label("Red shows").select_option("nir")
    page.idle()
    assert page.state["bands"].startswith("nir,")
    assert page.tiles(bands=page.state["bands"])


def test_a_period_of_ones_own(page, described):
    page.ready()
    first = described["composites"][0]["periods"][0]
    page.page.locator("#period").select_option(first["start"])
    page.idle()
    assert page.tiles(layer="composite", time=first["name"])


def test_only_the_scenes_of_a_sensor(page, described):
    page.ready()
    page.page.locator("#sensor").select_option("landsat")
    count = sum(each["sensor"] == "landsat" for each in described["scenes"])
    assert page.page.locator("#strip").get_attribute("aria-valuemax") == str(count - 1)


@pytest.mark.parametrize("compare", ["mask", "dates"])
def test_swipe(page, compare):
    page.ready()
    page.page.locator("#compare").select_option(compare)
    page.page.wait_for_selector("#right-map .maplibregl-canvas")
    page.idle()
    half = page.picture()
    split = page.page.locator("#split")
    split.press("Home")
    right = page.picture()
    split.press("End")
    left = page.picture()
    assert len({half, right, left}) == 3
    assert page.state["split"] == "100"
    assert (
        page.page.locator("#right-map").evaluate("map => map.style.clipPath")
        == "inset(0px 0px 0px 100%)"
    )


def test_swipe_between_dates_shows_both(page, described):
    page.ready()
    page.page.locator("#compare").select_option("dates")
    page.page.locator("#other").select_option(described["scenes"][0]["time"])
    page.page.wait_for_selector("#right-map .maplibregl-canvas")
    page.idle()
    assert page.tiles(layer="mask", time=described["scenes"][0]["time"])
    assert described["scenes"][0]["time"][:10] in page.text("#right-name")


def test_the_right_map_follows_the_left(page):
    page.ready()
    page.page.locator("#compare").select_option("mask")
    page.page.wait_for_selector("#right-map .maplibregl-canvas")
    page.idle()
    before = page.picture("#right-map")
    page.page.locator("#map canvas").press("ArrowLeft")
    page.page.wait_for_timeout(600)
    assert page.idle().picture("#right-map") != before


def test_a_link_is_the_view(page, new_page):
    page.ready()
    page.page.locator("#strip").press("Home")
    page.page.locator("#bands").select_option("nir,red,green")
    page.page.locator("#compare").select_option("mask")
    page.page.locator("#composite-opacity").fill("60")
    page.page.locator("#theme").select_option("dark")
    page.page.locator("#map canvas").press("+")
    page.page.wait_for_timeout(800)
    page.page.keyboard.press("v")
    page.page.wait_for_selector("#scenes", state="attached")
    link = page.state and page.page.url.removeprefix(page.url)
    other = new_page(link).ready()
    assert other.state == page.state
    other.page.wait_for_selector("#scenes", state="attached")
    assert other.page.locator("html").get_attribute("data-theme") == "dark"
    assert other.rows("#scenes") == page.rows("#scenes")
    assert other.page.locator("#composite-opacity").input_value() == "60"


def test_a_hash_that_somebody_types_is_followed(page, described):
    page.ready()
    page.page.evaluate(f"location.hash = '#time={described['scenes'][1]['time']}&classes=1'")
    page.idle()
    assert page.tiles(time=described["scenes"][1]["time"], classes="1")


@pytest.mark.parametrize(
    "fragment",
    [
        "#at=x/y/z",
        "#time=never&classes=9",
        "#area=1,2&point=a",
        "#%E0%A4%A=1&split=%",
        "#archive=none",
    ],
)
def test_a_broken_link_opens_the_archive(new_page, fragment):
    page = new_page(fragment).ready()
    assert page.page.locator("#strip").get_attribute("aria-valuemax") == "4"


def test_keys(page):
    page.ready()
    latest = page.text("#scene")
    page.page.keyboard.press(",")
    assert page.text("#scene") != latest
    page.page.keyboard.press(".")
    assert page.text("#scene") == latest
    page.page.keyboard.press("m")
    page.page.keyboard.press("c")
    assert page.state["show"] == "none"
    page.page.keyboard.press("s")
    assert page.state["compare"] == "mask"
    page.page.keyboard.press("?")
    assert page.page.locator("#help").is_visible()
    page.page.keyboard.press("Escape")
    assert page.page.locator("#help").is_hidden()
    page.page.keyboard.press("p")
    page.page.wait_for_selector("#observations")
    page.page.keyboard.press("Escape")
    assert page.page.locator("#drawer").is_hidden()


def test_everything_can_be_reached_by_tab(page):
    page.ready()
    reached = set()
    for _ in range(60):
        page.page.keyboard.press("Tab")
        reached.add(page.page.evaluate("document.activeElement.id"))
    wanted = {
        "archive",
        "share",
        "theme",
        "help-button",
        "composite",
        "bands",
        "show-mask",
        "compare",
        "draw",
        "view-area",
        "strip",
        "earlier",
    }
    assert wanted <= reached


def test_a_phone(new_page):
    page = new_page(**PHONE).ready()
    assert page.page.evaluate("document.documentElement.scrollWidth") == 390
    assert not page.page.locator("#panel").is_visible()
    page.page.locator("#panel-button").tap()
    page.page.wait_for_timeout(300)
    assert page.page.locator("#show-mask").is_visible()
    page.page.keyboard.press("Escape")
    page.page.locator("#map").tap(position={"x": 195, "y": 300})
    page.page.wait_for_selector("#observations")
    box = page.page.locator("#drawer").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert page.page.locator("#map").bounding_box()["height"] > 150


def test_dark_and_light(new_page):
    light = new_page(color_scheme="light").ready()
    dark = new_page(color_scheme="dark").ready()
    paper = "getComputedStyle(document.body).backgroundColor"
    assert light.page.evaluate(paper) != dark.page.evaluate(paper)
    light.page.locator("#theme").select_option("dark")
    assert light.page.evaluate(paper) == dark.page.evaluate(paper)
    assert light.state["theme"] == "dark"


@pytest.mark.parametrize(
    ("fragment", "context"),
    [
        ("", {"color_scheme": "light"}),
        ("#compare=dates", {"color_scheme": "dark"}),
        ("#area=9.005,47.82,9.03,47.82,9.03,47.84", {"color_scheme": "light"}),
        ("#point=9.03,47.83", {"color_scheme": "dark"}),
        ("", PHONE),
    ],
)
def test_axe_finds_nothing_serious(new_page, axe, fragment, context):
    page = new_page(fragment, **context).ready()
    if "area" in fragment:
        page.page.wait_for_selector("#chart .uplot")
    page.page.evaluate(axe)
    found = page.page.evaluate("axe.run().then(found => found.violations)")
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in serious] == []


def test_a_key_is_asked_for_and_sent(region, new_page):
    with serving({"alps": region.url}, api_key="sesame") as url:
        page = new_page(url=url)
        page.page.locator("#key").fill("sesame")
        page.page.keyboard.press("Enter")
        page.ready()
        assert page.tiles(layer="mask")
        assert "sesame" not in page.page.url
        # A browser tells the refusal before the key was typed.
        assert all("401" in each for each in page.errors)
        page.errors.clear()
        page.close()  # before its server is gone
