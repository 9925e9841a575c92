"""A region of four tiles and five scenes, its catalogue as it grows, and the runs over it.

::

    before    the first scenes, one of them as first processed, one without its western item
    halfway   … and a scene more
    after     everything: the reprocessing, the late item, the last scenes
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import yaml

from pipeline import config, cube, run
from pipeline.mask import read_geobox
from pipeline.simulate import ArchiveSettings, make_archive
from pipeline.types import Job
from tests.nights.counting import LOG, NAME, digest, install
from tests.nights.seen import Cell

ROOT = Path(__file__).parents[2]
AOI = (11.645, 48.2145, 11.6685, 48.2295)
"""Inside the landscape, in four tiles."""
SETTINGS = ArchiveSettings(
    size_px=192,
    sentinel2_dates=5,
    landsat_dates=0,
    start=date(2023, 6, 1),
    end=date(2023, 7, 10),
)
CATALOGUES = ("before", "halfway", "after")

REPROCESSED = "_1_L2A"
JOB: Mapping[str, Any] = {
    "name": "region",
    "aoi": list(AOI),
    "datetime": "2023-06-01/2023-07-10",
    "grid": {"resolution_m": 10.0, "tile_px": 128, "chunk_px": 64},
    "mask": {"model": NAME},
    "composite": {"period": "month", "bands": ["green", "red"]},
}


@dataclass(frozen=True)
class Region:
    """Where everything of a session lies."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Region:
        root = make_archive(folder / "archive", SETTINGS, workers=1)
        region = cls(folder)
        install(region.site)
        items = [_absolute(each) for each in pystac.read_file(root).get_items(recursive=True)]
        items.sort(key=lambda each: (each["properties"]["datetime"], each["id"]))
        for name, chosen in stages(items).items():
            content = {"type": "FeatureCollection", "features": chosen}
            region.catalogue(name).write_text(json.dumps(content))
        return region

    @property
    def site(self) -> Path:
        return self.folder / "site"

    def catalogue(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def document(self, store: Path, catalogue: str, **changes: Any) -> dict[str, Any]:
        """Return a job."""
        parts = {"store": str(store), "sources": [{"catalog": str(self.catalogue(catalogue))}]}
        return {**JOB, **parts, **changes}

    def job(self, store: Path, catalogue: str, **changes: Any) -> Job:
        return config.parse_job(self.document(store, catalogue, **changes), base=self.folder)

    def job_file(self, path: Path, catalogue: str, **changes: Any) -> Path:
        """Write the job of a store beside it."""
        document = self.document(path.with_name("store"), catalogue, **changes)
        path.write_text(yaml.safe_dump(document))
        return path

    def environment(self, log: Path, **more: str) -> dict[str, str]:
        """Return the environment of a run whose model notes its windows in `log`."""
        prefect = {
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        }
        return environment(self.site, log) | prefect | more


def environment(site: Path, log: Path) -> dict[str, str]:
    """Return this process's environment, and the way to the model; nobody's settings but ours."""
    paths = (str(site), str(ROOT), os.environ.get("PYTHONPATH"))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "CLOUDMASK_"))}
    return kept | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        LOG: str(log),
        "CLOUDMASK_BLOCK_CACHE__FOLDER": str(site.with_name("blocks")),
    }


def stages(items: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return what the catalogue has, by its names."""
    days = sorted({each["properties"]["datetime"][:10] for each in items})
    assert len(days) == 5

    def until(last: int, *without: str) -> list[dict[str, Any]]:
        return [
            each
            for each in items
            if each["properties"]["datetime"][:10] <= days[last]
            and not any(part in each["id"] for part in without)
        ]

    late = f"32UPU_{days[2].replace('-', '')}"
    return {
        "before": until(2, REPROCESSED, late),
        "halfway": until(3, REPROCESSED, late),
        "after": items,
    }


def _absolute(item: pystac.Item) -> dict[str, Any]:
    item.make_asset_hrefs_absolute()
    item.clear_links()
    return item.to_dict(include_self_link=False, transform_hrefs=False)


def windows(job: Job) -> dict[str, set[Cell]]:
    """Return which cells a window belongs to, by the name that the model gives it."""
    plan = run.plan_job(job)
    found: dict[str, set[Cell]] = {}
    for cell in plan.cells:
        if not cell.covered:
            continue
        card = plan.cards[cell.scene.sensor]
        opened = cube.open_cube(
            [cell.scene],
            plan.items,
            read_geobox(card.lattice, cell.tile.geobox),
            card.roles,
            chunk_px=card.lattice.core_px,
            settings=job.cube,
        ).compute()
        pixels = np.stack([opened[role].to_numpy()[0] for role in card.roles])
        name = (
            "masks",
            cell.scene.sensor,
            cell.scene.time.date(),
            cell.tile.row,
            cell.tile.col,
        )
        edge = card.lattice.core_px
        for top in range(0, pixels.shape[1], edge):
            for left in range(0, pixels.shape[2], edge):
                window = pixels[:, top : top + edge, left : left + edge]
                found.setdefault(digest(window), set()).add(name)
    return found
