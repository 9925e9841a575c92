"""A basemap in the browser: its tiles lie under the pictures; the test answers for its server."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.serve.browser.page import MapPage, serving

HOST = "https://tiles.example.org/"
GROUND = (250, 120, 10)


@pytest.fixture
def grounded(browser, region):
    """Open a map with a basemap, as one who has a key; return it and the headers of what the basemap was asked."""
    asked = []
    picture = io.BytesIO()
    Image.new("RGB", (256, 256), GROUND).save(picture, "PNG")

    def tile(route):
        asked.append(route.request.all_headers())
        headers = {"Access-Control-Allow-Origin": "*"}
        route.fulfill(body=picture.getvalue(), content_type="image/png", headers=headers)

    settings = {"basemap": HOST + "{z}/{x}/{y}.png", "basemap_attribution": "© <b>Example</b>"}
    with serving({"alps": region.url}, api_key="sesame", **settings) as url:
        page = MapPage(browser.new_context(), url)
        page.context.add_init_script("sessionStorage.setItem('key', 'sesame')")
        page.context.route(HOST + "**", tile)
        page.goto("#show=")
        yield page.ready(), asked
        page.close()


def share_of_ground(page, right_of=0.0) -> float:
    shown = np.asarray(Image.open(io.BytesIO(page.picture())).convert("RGB"))
    shown = shown[:, int(right_of * shown.shape[1]) :]
    return (shown == GROUND).all(-1).mean()


def test_a_basemap_lies_under_the_pictures(grounded):
    page, asked = grounded
    bare = share_of_ground(page)
    assert bare > 0.5
    page.page.keyboard.press("c")
    assert 0.2 < share_of_ground(page.idle()) < bare - 0.1
    page.page.locator("#compare").select_option("mask")
    page.page.wait_for_selector("#right-map:not([hidden]) canvas")
    assert share_of_ground(page.idle(), right_of=0.75) > 0.7
    assert (
        "© <b>Example</b>" in page.page.locator(".maplibregl-ctrl-attrib-inner").text_content()
    )
    assert page.errors == []
    assert asked
    assert all(url.startswith(HOST) for url in page.foreign)
    assert not any("x-api-key" in headers or "referer" in headers for headers in asked)
