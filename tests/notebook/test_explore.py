"""`explore()`: the map from a server of this process, which this machine's notebooks alone may frame."""

import pytest
import requests

from pipeline.errors import ConfigError
from pipeline.notebook import explore
from pipeline.serve.app import make_app


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    web = tmp_path_factory.mktemp("web")
    (web / "assets").mkdir()
    (web / "index.html").write_text("<!doctype html><title>the map</title>")
    return web


@pytest.fixture(scope="module")
def shown(archive, page):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explore, "WEB", page)
        patch.setattr("pipeline.serve.app.WEB", page)
        patch.setitem(make_app.__kwdefaults__, "web", page)
        made = archive.explore(height=500)
    yield made
    made.close()


def test_the_frame_names_the_server(shown):
    assert shown.url.startswith("http://127.0.0.1:")
    assert f'<iframe src="{shown.url}"' in shown._repr_html_()
    assert 'height="500"' in shown._repr_html_()


def test_it_serves_the_archive(shown, archive):
    found = requests.get(shown.url + "archives/archive", timeout=20).json()
    assert found["snapshot"] == archive.snapshot


def test_notebooks_of_this_machine_may_frame_it_and_nobody_else(shown):
    headers = requests.get(shown.url, timeout=20).headers
    assert "X-Frame-Options" not in headers
    policy = headers["Content-Security-Policy"]
    assert "frame-ancestors http://localhost:* http://127.0.0.1:*" in policy
    assert policy.count("frame-ancestors") == 1


def test_it_answers_to_names_of_this_machine_alone(shown):
    answer = requests.get(shown.url, headers={"Host": "elsewhere.example"}, timeout=20)
    assert answer.status_code == 400


def test_without_the_built_map_it_says_what_to_do(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(explore, "WEB", tmp_path)
    with pytest.raises(ConfigError, match="make web"):
        archive.explore()
