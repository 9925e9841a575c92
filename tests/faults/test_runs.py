"""200 cubes read from a server with faults: the exact pixels, or the item named as dropped."""

import dataclasses
import json
import random
import re
import threading
import time
from datetime import UTC, datetime

import dask
import numpy as np
import pystac
import pytest
import xarray as xr

from pipeline import access, cube, run
from pipeline.cube import open_cube
from pipeline.errors import AssetError
from pipeline.types import CubeSettings, Items, Period
from tests.faults.faulty import HOST

RUNS, QUICK = 200, 6
KINDS = ("429", "500", "502", "503", "504", "reset", "stall", "truncated", "html")
BROKEN = ("404", "410", "403", "503", "reset", "truncated", "html", "garbage")
ROLES = ("blue", "swir16", "scl")
JUNE = Period(start=datetime(2023, 6, 1, tzinfo=UTC), end=datetime(2023, 7, 1, tzinfo=UTC))
REMOTE = CubeSettings(hosts=(HOST,))
LONGEST_S = 120.0


class Region:
    """The small region read here, for comparison, and by URL."""

    def __init__(self, folder, plan):
        self.folder = folder
        self.items = plan.items
        tile = next(iter(plan.grid.tiles()))
        self.geobox = tile.geobox
        self.scenes = [cell.scene for cell in plan.cells_of(tile)]
        self.ids = [item.id for item in self.items.items]
        self.read = [self.items.items[p] for scene in self.scenes for p in scene.items]
        self._known = {}

    def cube(self, items, dropped, settings=None):
        """Read all scenes without some items."""
        scenes = [
            dataclasses.replace(
                scene, items=tuple(p for p in scene.items if self.ids[p] not in dropped)
            )
            for scene in self.scenes
        ]
        opened = open_cube(scenes, items, self.geobox, ROLES, chunk_px=64, settings=settings)
        with dask.config.set(scheduler="threads", num_workers=4):
            return opened.compute()

    def tried(self, items, dropped):
        """Return a cube, or the error that names the item which cannot be read."""
        try:
            return self.cube(items, dropped, REMOTE)
        except AssetError as error:
            return error

    def read_to_the_end(self, items):
        """Read, and read again without each item that cannot be; return the ids of those, too."""
        dropped = frozenset()
        while isinstance(found := self.tried(items, dropped), AssetError):
            assert found.item_id in set(self.ids) - dropped, found
            assert found.asset in str(found)
            assert not re.search(r"token=\w", str(found))
            dropped |= {found.item_id}
        return found, dropped

    def expected(self, dropped):
        if dropped not in self._known:
            self._known[dropped] = self.cube(self.items, dropped)
        return self._known[dropped]

    def served(self, faulty, name):
        """Return the items as a catalogue at a URL has them."""
        here, there = str(self.folder), faulty.href(name, self.folder)
        items = []
        for item in self.items.items:
            text = json.dumps(item.to_dict(transform_hrefs=False))
            document = json.loads(text)
            for key, asset in item.assets.items():
                href = asset.get_absolute_href()
                assert href.startswith(here)
                document["assets"][key]["href"] = there + href.removeprefix(here)
            made = pystac.Item.from_dict(document, preserve_dict=False)
            made.clear_links()
            made.set_self_href(f"{there}/{item.id}.json")
            items.append(made)
        return Items(items=tuple(items))


@pytest.fixture(scope="module")
def region(pristine):
    from tests.faults.small_region import Region as Small  # noqa: PLC0415
    from tests.faults.small_region import provide  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patch:
        provide(patch)
        plan = run.plan_job(Small(pristine.parent).job(period=JUNE))
    return Region(pristine, plan)


def plan_of(seed, region):
    """Draw the faults of a run."""
    draw = random.Random(seed)
    plan = {
        "seed": seed,
        "share": draw.choice((0.0, 0.02, 0.05, 0.1, 0.2, 0.3)),
        "kinds": draw.sample(KINDS, draw.randint(1, len(KINDS))),
        "stall_s": 0.8,
    }
    if draw.random() < 0.3:
        item = draw.choice(region.read)
        name = item.assets[draw.choice(ROLES)].href.rpartition("/")[2]
        plan["broken"] = {f"/{item.id}/{name}": draw.choice(BROKEN)}
    if draw.random() < 0.25:
        plan["token_life"] = draw.randint(8, 40)
    return plan


def sign(monkeypatch, faulty, name):
    """Put a token on every URL; renew it when it was refused."""
    real, lock, token = access.opening, threading.Lock(), [faulty.token(name)]

    def opening(*args, **options):
        made = real(*args, **options)
        if made.host is None:
            # What is expected is read from files of this machine.
            return made
        return dataclasses.replace(made, path=f"{made.path}?token={token[0]}")

    def forget(href):
        with lock:
            token[0] = faulty.token(name)

    monkeypatch.setattr(access, "opening", opening)
    monkeypatch.setattr(access, "forget", forget)


@pytest.mark.parametrize(
    "seed",
    [
        *range(QUICK),
        *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(QUICK, RUNS)),
    ],
)
def test_every_run_ends_exact_or_with_a_name(region, faulty, monkeypatch, tmp_path, seed):
    name, plan = f"run{seed}", plan_of(seed, region)
    cube.use_disk(tmp_path / "blocks", 2**26 * (seed % 2))
    faulty.plan(name, **plan)
    if "token_life" in plan:
        sign(monkeypatch, faulty, name)
    begun = time.monotonic()
    found, dropped = region.read_to_the_end(region.served(faulty, name))
    assert time.monotonic() - begun < LONGEST_S
    xr.testing.assert_identical(found, region.expected(dropped))
    if plan["share"] <= 0.05:
        assert dropped <= {ending.split("/")[1] for ending in plan.get("broken", {})}
    if not dropped:
        assert np.isfinite(found["blue"]).any()


@pytest.mark.parametrize("fault", BROKEN)
def test_an_asset_that_stays_broken_costs_its_item_alone(region, faulty, fault):
    item, name = region.read[0], f"broken-{fault}"
    file = item.assets["blue"].href.rpartition("/")[2]
    faulty.plan(name, broken={f"/{item.id}/{file}": fault})
    found, dropped = region.read_to_the_end(region.served(faulty, name))
    assert dropped == {item.id}
    xr.testing.assert_identical(found, region.expected(dropped))
    whole = region.expected(frozenset())
    assert not whole.equals(found), "it was needed"
