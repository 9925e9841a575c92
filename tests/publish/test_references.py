"""Hrefs of a catalogue lead to where they should, whatever folders are called."""

import pytest

from pipeline import access
from pipeline.publish.provenance import _bare, _seen_from


@pytest.mark.parametrize("name", ["my arc #1", "arc?b=c", "100%25", "a:b", "zwei Täler"])
@pytest.mark.parametrize("form", ["{}", "zarr+{}"])
def test_a_local_address_is_read_back(tmp_path, name, form):
    store = tmp_path / name / "store"
    store.mkdir(parents=True)
    folder = tmp_path / "stac #2"
    folder.mkdir()
    href = _seen_from(folder, _bare(form.format(store)))
    assert "#" not in href
    assert " " not in href
    assert access.resolved(href, str(folder / "item.json")) == str(store)


def test_an_address_elsewhere_stays():
    assert _seen_from(None, _bare("s3://me@bucket/a?region=x")) == "s3://bucket/a"
