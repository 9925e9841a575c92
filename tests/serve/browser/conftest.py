"""The web map in a real browser: Chromium, headless, on a server of its own."""

from pathlib import Path

import pytest

from pipeline.serve.app import WEB
from tests.serve.browser.page import MODULES, MapPage, find_browser, open_browser, serving

AXE = MODULES / "axe-core" / "axe.min.js"
OPENLAYERS = MODULES / "ol" / "package.json"


def pytest_addoption(parser):
    parser.addoption(
        "--require-browser",
        action="store_true",
        help="fail, instead of skipping, where the map is not built or there is no Chromium",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


def _missing() -> str | None:
    """Say what is not there; none: nothing."""
    if not all(each.exists() for each in (WEB / "index.html", AXE, OPENLAYERS)):
        return "the map is not built; `make web` builds it"
    if find_browser() is None:
        return "there is no chromium; on Debian: apt-get install chromium"
    return None


@pytest.fixture(scope="session")
def browser(pytestconfig):
    if reason := _missing():
        required = pytestconfig.getoption("--require-browser", default=False)
        (pytest.fail if required else pytest.skip)(f"no browser test: {reason}")
    with open_browser() as chromium:
        yield chromium


@pytest.fixture(scope="session")
def server(region):
    with serving({"alps": region.url}) as url:
        yield url


@pytest.fixture
def new_page(browser, server):
    """Make pages; afterwards none of them may have told an error or asked another origin."""
    pages = []

    def make(fragment="", *, url=server, **context) -> MapPage:
        pages.append(MapPage(browser.new_context(**context), url))
        return pages[-1].goto(fragment)

    yield make
    for each in pages:
        each.close()
    for each in pages:
        assert each.errors == []
        assert each.foreign == []


@pytest.fixture
def page(new_page):
    return new_page()


@pytest.fixture(scope="session")
def axe() -> str:
    return AXE.read_text()
