"""What is wrong with an item is said, however long the path is that stands before it."""

from types import SimpleNamespace

from pipeline.search.documents import UNREADABLE
from pipeline.search.walk import walk


def test_the_reason_is_not_cut_behind_a_long_path(tmp_path):
    root = str(tmp_path.joinpath("a" * 120, "b" * 120, "catalog.json"))
    catalogue = {"type": "Catalog", "links": [{"rel": "item", "href": "./gone.json"}]}
    ((found, at),) = walk(catalogue, root, SimpleNamespace(name=root))
    assert at.endswith("gone.json")
    assert found[UNREADABLE].endswith("gone.json cannot be read: No such file or directory")
