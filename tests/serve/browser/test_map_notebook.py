"""`explore()` in a frame: a page of another port of this machine shows the map, as a notebook does."""

import subprocess
import sys

import pytest

from tests.serve.browser.page import serving_files

EXPLORE = """
import sys
import cloudmask
shown = cloudmask.open(sys.argv[1]).explore(height=480)
print(shown.url, flush=True)
print(shown._repr_html_(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def explored(region):
    """Run a process that explores: URL of the map, and the HTML that a notebook shows."""
    kernel = subprocess.Popen(
        [sys.executable, "-c", EXPLORE, region.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield kernel.stdout.readline().strip(), kernel.stdout.readline()
    kernel.communicate("\n", timeout=30)


@pytest.fixture
def notebook(explored, tmp_path):
    (tmp_path / "index.html").write_text(f"<!doctype html><body>{explored[1]}")
    with serving_files(tmp_path) as url:
        yield url


def test_a_notebook_shows_the_map(browser, explored, notebook):
    page = browser.new_page()
    refused = []
    page.on("console", lambda told: told.type == "error" and refused.append(told.text))
    page.goto(notebook)
    frame = page.frame_locator("iframe")
    frame.locator("body[data-ready]").wait_for(timeout=60_000)
    assert "2026-07" in frame.locator("#scene").inner_text()
    # The icon of the notebook's own page is missing.
    assert [each for each in refused if "404" not in each] == []
    page.close()
