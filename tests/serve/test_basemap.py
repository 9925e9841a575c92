"""A basemap of another server: none unless it is set, and then that host alone is open to the page."""

import pytest
from pydantic import ValidationError

from pipeline.config import ServeSettings
from tests.serve.conftest import client_of

TILES = "https://tiles.example.org:8443/{z}/{x}/{y}.png?style=plain"
GIVEN = {"basemap": TILES, "basemap_attribution": "© Example"}


def sources(client) -> dict[str, list[str]]:
    policy = client.get("/").headers["content-security-policy"]
    return {name: hosts for name, *hosts in (each.split() for each in policy.split(";"))}


def test_without_it_nothing_is_open_and_nothing_is_told(client):
    assert "basemap" not in client.get("/archives").json()
    assert not any("http" in host for hosts in sources(client).values() for host in hosts)


def test_its_host_alone_is_open_for_pictures(client, region, tmp_path):
    with_it = client_of({"alps": region.url}, tmp_path, **GIVEN)
    told = with_it.get("/archives").json()["basemap"]
    assert told == {"url": TILES, "attribution": "© Example"}
    plain, opened = sources(client), sources(with_it)
    host = "https://tiles.example.org:8443"
    more = {name: [host] if name in ("img-src", "connect-src") else [] for name in plain}
    assert opened == {name: plain[name] + more[name] for name in plain}


@pytest.mark.parametrize(
    "wrong",
    [
        {"basemap": TILES},
        {**GIVEN, "basemap_attribution": " "},
        {**GIVEN, "basemap": "https://tiles.example.org/{z}/{x}.png"},
        {**GIVEN, "basemap": "tiles/{z}/{x}/{y}.png"},
        {**GIVEN, "basemap": "javascript://tiles.example.org/{z}/{x}/{y}"},
        {**GIVEN, "basemap": "https://tiles.example.org; script-src */{z}/{x}/{y}"},
        {**GIVEN, "basemap": "https://*/{z}/{x}/{y}"},
        {**GIVEN, "basemap": "https://me:secret@tiles.example.org/{z}/{x}/{y}"},
    ],
)
def test_what_is_no_basemap_is_refused(wrong):
    with pytest.raises(ValidationError, match="basemap"):
        ServeSettings(**wrong)
