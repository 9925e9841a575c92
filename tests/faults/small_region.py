"""A region of two tiles and three scenes, its damage, and what a store holds.

::

    r000c000  ── both Sentinel-2 products of a day, in an overlap
    r000c001  ── only the eastern one
    Landsat   ── one product over both
"""

import dataclasses
import json
import shutil
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from shapely.geometry import box

from pipeline import store
from pipeline.models import registry
from pipeline.models.families import provider as providers
from pipeline.simulate import ArchiveSettings, make_archive
from pipeline.testing import ThresholdModel, make_job
from pipeline.types import (
    CompositeSettings,
    GridSettings,
    Job,
    Lattice,
    MaskSettings,
    Model,
    ModelCard,
    Period,
    RunSettings,
    Source,
)

WEST, EAST = "S2A_32UPU_20230613_0_L2A", "S2A_32UQU_20230613_0_L2A"
"""The two products of one day; the western comes first in the mosaic."""
DAY = datetime(2023, 6, 13, 10, 27, 44, tzinfo=UTC)
LANDSAT = "LC09_L2SP_193026_20230716_02_T1"

AOI = (11.645, 48.2245, 11.6685, 48.2295)
"""Inside the landscape, and inside its northern row of tiles."""

SETTINGS = ArchiveSettings(
    size_px=192, sentinel2_dates=4, landsat_dates=1, start=date(2023, 6, 1)
)

JOB = f"""\
name: region
aoi: {list(AOI)}
datetime: 2023-06-01/2023-07-20
sources: {{catalog: archive/catalog.json}}
grid: {{resolution_m: 10.0, tile_px: 128, chunk_px: 64}}
mask: {{model: threshold}}
composite: {{period: month, bands: [blue, green, red]}}
run: {{min_completeness: 0.5}}
store: store
"""


@dataclasses.dataclass(frozen=True)
class Region:
    """A copy of the archive that a test may damage, and a store beside it."""

    folder: Path

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    @property
    def catalog(self) -> Path:
        return self.archive / "catalog.json"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def job(self, *, min_completeness: float = 0.5, **parts: Any) -> Job:
        whole: dict[str, Any] = {
            "name": "region",
            "aoi": box(*AOI),
            "period": Period(
                start=datetime(2023, 6, 1, tzinfo=UTC), end=datetime(2023, 7, 21, tzinfo=UTC)
            ),
            "sources": (Source(catalog=str(self.catalog)),),
            "grid": GridSettings(resolution_m=10.0, tile_px=128, chunk_px=64),
            "mask": MaskSettings(model="threshold"),
            "composite": CompositeSettings(bands=("blue", "green", "red")),
            "run": RunSettings(min_completeness=min_completeness),
            "store": str(self.store),
        }
        return make_job(**(whole | parts))

    def job_file(self, *changes: tuple[str, str]) -> Path:
        """Write the job as a file, with some texts replaced."""
        text = JOB
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path = self.folder / "job.yaml"
        path.write_text(text)
        return path

    # -- damage --------------------------------------------------------------------------------

    def document(self, item: str) -> Path:
        (found,) = self.archive.glob(f"*/{item}/{item}.json")
        return found

    def asset(self, item: str, name: str) -> Path:
        """Return the file of an asset of an item."""
        path = self.document(item)
        return path.parent / json.loads(path.read_text())["assets"][name]["href"]

    def edit(self, item: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the document of an item."""
        path = self.document(item)
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))

    def remove_items(self, *items: str) -> None:
        """Take items out of the catalogue."""
        for item in items:
            path = self.document(item)
            collection = path.parents[1] / "collection.json"
            document = json.loads(collection.read_text())
            document["links"] = [
                link for link in document["links"] if path.name not in link["href"]
            ]
            collection.write_text(json.dumps(document))

    def truncate(self, item: str, asset: str = "blue") -> bytes:
        """Cut a file in the middle; return what it was."""
        path = self.asset(item, asset)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        return whole


def make_pristine(folder: Path) -> Path:
    """Make the archive that every test copies."""
    make_archive(folder, SETTINGS, workers=1)
    shutil.rmtree(folder / "truth.zarr")
    return folder


def copy_of(pristine: Path, folder: Path) -> Region:
    shutil.copytree(pristine, folder / "archive")
    return Region(folder)


class Threshold:
    """A provider of one model without weights, to stand beside the real ones."""

    def __init__(self) -> None:
        self.model: Model = ThresholdModel(Lattice(core_px=64, halo_px=0))

    def names(self) -> Collection[str]:
        return ("threshold",)

    def resolve(
        self, name: str, *, level: str, roles: Collection[str], options: Mapping[str, Any]
    ) -> ModelCard:
        return self.model.card

    def load(self, card: ModelCard) -> Model:
        return self.model

    def bytes_needed(self, card: ModelCard, *, windows: int) -> int:
        return 0


def provide(monkeypatch) -> Threshold:
    """Put the threshold model among the models of this process."""
    provider = Threshold()
    monkeypatch.setattr(providers, "OWN", [*providers.OWN, provider])
    monkeypatch.setattr(registry, "_loaded", {})
    return provider


# -- what a store holds ------------------------------------------------------------------------


def contents(region: Region) -> dict[str, NDArray[Any]]:
    """Return every array of masks and composites, by name, provenance by the id of its item."""
    archive = store.open_archive(str(region.store))
    found = {}
    for sensor in archive.sensors:
        found |= _arrays(f"masks/{sensor}", archive.masks(sensor))
    ids = np.array([*archive.item_ids, ""])
    for name in archive.composite_names:
        made = archive.composite(name)
        found |= _arrays(f"composites/{name}", made)
        # Positions depend on the order in which items became known, ids do not; -1 is the last.
        found[f"composites/{name}/source"] = ids[made["source"].to_numpy()]
    return found


def _arrays(prefix: str, dataset: xr.Dataset) -> dict[str, NDArray[Any]]:
    return {f"{prefix}/{name}": each.to_numpy() for name, each in dataset.variables.items()}


def assert_same(found: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]]):
    assert found.keys() == expected.keys()
    for name, each in expected.items():
        np.testing.assert_array_equal(found[name], each, err_msg=name)


def mask_of_day(found: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return the mask of the day of `EAST` and `WEST`."""
    day = np.datetime64(DAY.replace(tzinfo=None))
    (at,) = np.flatnonzero(found["masks/sentinel-2/time"] == day)
    return found["masks/sentinel-2/mask"][at]


def snapshot(region: Region) -> str:
    return store.open_archive(str(region.store)).snapshot


def refused(result, code: int, *words: str) -> None:
    """Check that a command ended with one clear error and no traceback."""
    assert result.exception is None or isinstance(result.exception, SystemExit), (
        result.exception
    )
    said = result.stderr
    assert result.exit_code == code, said
    assert len([line for line in said.splitlines() if line.startswith("error: ")]) == 1, said
    assert "Traceback" not in said + result.stdout
    for word in words:
        assert word in said, said
