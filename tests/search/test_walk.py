"""Static catalogues, by path and by URL: walked once, bounded, and kept from leaving."""

import json
from pathlib import Path
from urllib.parse import urljoin

import pystac
import pytest

from pipeline.errors import SearchError
from pipeline.search import search, walk
from pipeline.testing import make_job
from pipeline.types import CubeSettings, Source
from tests.search.serving import QUICK, Answer
from tests.search.test_search import ids, make_item


def find(location, **parts):
    return search(make_job(sources=(Source(catalog=str(location)),), **parts), QUICK)


def catalogue(*links):
    return {
        "type": "Catalog",
        "id": "c",
        "stac_version": "1.0.0",
        "description": "",
        "links": [{"rel": rel, "href": href} for rel, href in links],
    }


@pytest.fixture
def serve(server):
    """Serve documents by path; what is not there is 404."""

    def start(documents):
        server.answer = lambda asked: (
            Answer(documents[asked.path]) if asked.path in documents else Answer({}, status=404)
        )
        return server.url

    return start


def nested(folder: Path) -> Path:
    root = pystac.Catalog(id="root", description="root")
    for name in ("a", "b"):
        child = pystac.Catalog(id=name, description=name)
        for day in (1, 2):
            item = make_item(f"{name}{day}", day=day)
            child.add_item(item)
        root.add_child(child)
    root.normalize_and_save(str(folder), pystac.CatalogType.SELF_CONTAINED)
    return folder / "catalog.json"


def test_by_path_and_by_url_alike(tmp_path, server):
    path = nested(tmp_path)
    local = find(path)
    assert ids(local) == ["a1", "b1", "a2", "b2"]
    assert find(tmp_path).items[0].to_dict() == local.items[0].to_dict()
    assert local.items[0].assets["blue"].href == str(tmp_path / "a" / "a1" / "blue.tif")

    def files(asked):
        return Answer(raw=(tmp_path / asked.path.lstrip("/")).read_bytes())

    server.answer = files
    # The assets lie on loopback, so the job has to trust it.
    remote = find(f"{server.url}/catalog.json", cube=trusting("127.0.0.1"))
    assert ids(remote) == ids(local)
    assert remote.items[0].assets["blue"].href == f"{server.url}/a/a1/blue.tif"


def trusting(*hosts):
    return CubeSettings(hosts=hosts)


@pytest.mark.parametrize("remote", [True, False])
def test_links_in_circles_end(tmp_path, serve, server, remote):
    item = make_item("one", href="https://example.com/one.tif").to_dict()
    documents = {
        "/catalog.json": catalogue(
            ("child", "./catalog.json"), ("child", "sub.json"), ("item", "one.json")
        ),
        "/sub.json": catalogue(
            ("child", "catalog.json"),
            ("child", "./sub.json#again"),
            ("item", "one.json"),
            ("item", "one.json#x"),
        ),
        "/one.json": item,
    }
    for path, document in documents.items():
        (tmp_path / path[1:]).write_text(json.dumps(document))
    root = serve(documents) + "/catalog.json" if remote else tmp_path / "catalog.json"
    assert ids(find(root)) == ["one"]
    assert len(server.asked) == (3 if remote else 0)


def test_a_tree_without_a_floor_is_refused(server):
    server.answer = lambda asked: Answer(catalogue(("child", f"{asked.path}x")))
    with pytest.raises(SearchError, match="never ends.*33 catalogues deep"):
        find(f"{server.url}/a")


def test_a_tree_without_walls_is_refused(server, monkeypatch):
    monkeypatch.setattr(walk, "MAX_DOCUMENTS", 50)
    server.answer = lambda asked: Answer(
        catalogue(*[("child", f"{asked.path}{n}") for n in range(9)])
    )
    with pytest.raises(SearchError, match="at most 32 and 50"):
        find(f"{server.url}/a")


@pytest.mark.parametrize(
    "target",
    [
        *(
            "file:///etc/passwd",
            "http://169.254.169.254/latest/meta-data",
            "http://10.0.0.1/c.json",
        ),
        *(
            "http://127.0.0.1:1/other-port.json",
            "http://localhost:1/c.json",
            "ftp://x.org/c.json",
        ),
        *("s3://bucket/catalog.json", "http://user:secret@127.0.0.1/c.json"),
    ],
)
@pytest.mark.parametrize("relation", ["child", "item"])
def test_a_catalogue_from_elsewhere_leads_neither_here_nor_next_door(serve, target, relation):
    root = serve({"/catalog.json": catalogue((relation, target))})
    with pytest.raises(SearchError, match="refused"):
        find(f"{root}/catalog.json")


def test_a_path_of_this_machine_is_a_path_of_that_host(serve, server):
    root = serve({"/catalog.json": catalogue(("item", "/etc/passwd"))})
    with pytest.raises(SearchError, match="404"):
        find(f"{root}/catalog.json")
    assert server.asked[-1].path == "/etc/passwd"


@pytest.mark.parametrize("links", [None, 7, {"rel": "child"}])
def test_a_catalogue_without_links_is_none(serve, links):
    root = serve({"/catalog.json": {**catalogue(), "links": links}})
    with pytest.raises(SearchError, match="no list of links"):
        find(f"{root}/catalog.json")


def test_an_item_collection_and_an_item_by_url(serve):
    items = [
        make_item(f"{n}", day=n, href="https://example.com/x.tif").to_dict() for n in (1, 2)
    ]
    root = serve(
        {"/items.json": {"type": "FeatureCollection", "features": items}, "/one.json": items[0]}
    )
    assert ids(find(f"{root}/items.json")) == ["1", "2"]
    assert ids(find(f"{root}/one.json")) == ["1"]


def test_relative_assets_lie_beside_the_item_whatever_its_self_link_says(serve):
    item = make_item("one", href="./blue.tif").to_dict()
    item["links"] = [{"rel": "self", "href": "../elsewhere/one.json"}]
    root = serve({"/catalog.json": catalogue(("item", "sub/one.json")), "/sub/one.json": item})
    found = find(f"{root}/catalog.json", cube=trusting("127.0.0.1"))
    assert found.items[0].assets["blue"].href == urljoin(root, "/sub/blue.tif")
