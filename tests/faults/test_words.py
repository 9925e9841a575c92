"""Ids, titles and reasons that would be markup, paths or commands: nothing that is written obeys them."""

import json
import re
from html.parser import HTMLParser

import pytest

from pipeline import store
from tests.faults.small_region import EAST, LANDSAT, WEST
from tests.finding import Planted

IDS = {
    "script": "S2A_</td><script>alert(1)</script>",
    "attribute": "S2A_\"'><img src=x onerror=alert(1)>",
    "template": "S2A_{{ 7 * 7 }}{% raw %}",
    "up": "../../../../S2A_up",
    "dots": "..",
    "rooted": "/tmp/S2A_rooted",
    "nul": "S2A_\0nul",
    "half": "S2A_\ud83d",
    "steering": "S2A_\x1b]0;title\x07\x1b[2J\x9b1m\u202e\u2028\r\n",
    "spaces": "S2A one\ttwo",
    "blank": " ",
    "secret": "S2A?sig={secret}",
    "long": "S2A_" + 3000 * "x",
}


def batched(kinds, size):
    names = list(kinds)
    return [names[at : at + size] for at in range(0, len(names), size)]


STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e\ud800-\udfff]")


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.handlers = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


NAMED = (WEST, "S2A_32UPU_20230703_1_L2A", "S2A_32UQU_20230703_1_L2A", LANDSAT)
"""Items that get such an id, all in one run."""


def named(name: str):
    """Return what changes an item: its id, and all else that an id may turn up in."""

    def change(item):
        item["id"] = name
        item["properties"]["title"] = name
        item["links"] += [
            {"rel": "derived_from", "href": f"https://a.org/{name}", "title": name}
        ]
        # A reason that shows the name of the asset.
        item["assets"][f"red {name}"] = {"href": name}

    return change


@pytest.mark.quick(1)
@pytest.mark.parametrize("kinds", batched(IDS, len(NAMED)), ids="-".join)
def test_an_id_is_a_word_and_nothing_else(region, cloudmask, tmp_path, kinds):
    planted = Planted()
    for item, kind in zip(NAMED, kinds, strict=False):
        region.edit(item, named(IDS[kind].replace("{secret}", planted("id"))))
    region.truncate(EAST)
    (region.archive / "before").touch()
    before = {each for each in tmp_path.rglob("*") if not each.is_relative_to(region.store)}
    job = region.job_file(
        ("store: store", "store: store\nstac: {folder: told}"),
        ("min_completeness: 0.5", "min_completeness: 0.0"),
    )
    said = cloudmask("run", job, "--plain", "--report", "report.html")
    assert said.exit_code == 0, said.output
    assert cloudmask("stac", "store", "cogs", "--cogs").exit_code == 0
    said_too = [cloudmask("runs", "store", *more) for more in ([], ["--json"])] + [
        cloudmask("log", "store")
    ]
    words = "".join(each.output for each in [said, *said_too])
    assert not STEERING.search(words)

    # Nothing but what was to be written.
    ours = {"store", "told", "cogs", "report.html", "job.yaml"}
    new = {each for each in tmp_path.rglob("*") if each not in before}
    names = {each.relative_to(tmp_path).parts[0] for each in new}
    assert {each for each in names if not each.endswith(".lock")} == ours
    for place in ("told", "cogs"):
        for path in (tmp_path / place).rglob("*.json"):
            text = path.read_text(encoding="utf-8")
            json.loads(text)
            assert not STEERING.search(text)
            assert re.fullmatch(r"[\w.-]+", path.name, re.ASCII)

    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not STEERING.search(page)
    tags = Tags(page)
    assert tags.tags.count("script") == 1
    assert tags.handlers == []
    assert all(
        load.startswith("data:") for load in re.findall(r'<img[^>]* src="([^"]*)"', page)
    )
    assert "49" not in re.findall(r"S2A_(\d+)", page)
    assert planted.found_below(*(tmp_path / each for each in ours)) == {}
    assert len(store.open_archive(str(region.store)).item_ids) >= 2
