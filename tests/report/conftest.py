from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from pipeline.report import Material
from pipeline.types import (
    CellReceipt,
    Code,
    Cost,
    Dropped,
    Record,
    SceneShares,
    Series,
    TileReceipt,
)

START = datetime(2024, 5, 3, 10, 20, tzinfo=UTC)
EVIL = "S2A_<script>alert('x')</script>"


def instants(*texts):
    return np.array(texts, dtype="datetime64[ns]")


@pytest.fixture
def geobox():
    return GeoBox.from_bbox((600000, 5300000, 600800, 5300600), "EPSG:32632", resolution=20)


@pytest.fixture
def composites(geobox):
    """Two months of noise, with a corner where nothing was clear."""
    rng = np.random.default_rng(0)
    shape = (2, *geobox.shape)
    dims = ("time", "y", "x")
    count = rng.integers(1, 5, shape).astype(np.uint16)
    count[:, :5, :5] = 0
    bands = ("blue", "green", "red", "nir")
    values = {
        band: np.where(count > 0, rng.random(shape, dtype=np.float32) / 4, np.nan)
        for band in bands
    }
    day = np.where(count > 0, 19850 + 5 * count.astype(np.int32), -1).astype(np.int32)
    return {
        "monthly": xr.Dataset(
            {name: (dims, array.astype(np.float32)) for name, array in values.items()}
            | {"count": (dims, count), "day": (dims, day)},
            coords={
                "time": instants("2024-05-01", "2024-06-01"),
                "period_end": ("time", instants("2024-06-01", "2024-07-01")),
                **xr_coords(geobox),
            },
        )
    }


@pytest.fixture
def record():
    cell = {"sensor": "sentinel-2", "time": START, "tile": "r000c000", "fingerprint": 7}
    return Record(
        job="lake & shore",
        run_id="20240801T1000-ab12",
        started=datetime(2024, 8, 1, 10, tzinfo=UTC),
        finished=datetime(2024, 8, 1, 10, 2, 5, tzinfo=UTC),
        snapshot="1CECHNKREP0F1RSTCMT0",
        expected=3,
        complete=2,
        items=("S2A_one", EVIL, "LC08_late"),
        dropped=(Dropped(item_id="S2A_zero", reason="superseded by S2A_one"),),
        radiometry={"S2A_one": "× 0.0001 − 0.1: baseline 05.10"},
        models={
            "sentinel-2": {
                "name": "ukis-csmask-6b-l2a",
                "version": "1.0",
                "weights": "in the wheel",
                "weights_sha256": "0",
                "licence": "Apache-2.0",
                "source": "DLR",
            }
        },
        tiles=(
            TileReceipt(
                tile="r000c000",
                cells=(
                    CellReceipt(status="masked", items=("S2A_one", EVIL), **cell),
                    CellReceipt(status="unreadable", items=("LC08_late",), **cell),
                ),
                dropped=(Dropped(item_id="LC08_late", reason="HTTP 404", tile="r000c000"),),
            ),
        ),
        stages={
            "mask": Cost(seconds=83.4, cpu_seconds=160, bytes_read=1_234_000_000, reads=17)
        },
    ).to_dict()


@pytest.fixture
def series():
    counts = {Code.CLEAR: 500, Code.THICK_CLOUD: 300, Code.CLOUD_SHADOW: 100}
    return Series(
        scenes=tuple(
            SceneShares(
                sensor="sentinel-2",
                time=START + timedelta(days=5 * i),
                platform="sentinel-2a",
                pixels=1200,
                counts=counts if i else {Code.CLEAR: 1200},
                unread=300 if i else 0,
            )
            for i in range(3)
        )
    )


@pytest.fixture
def material(record, series, composites, geobox):
    codes = np.ones((1, *geobox.shape), np.uint8)
    codes[0, :10] = 5
    mask = xr.Dataset(
        {"mask": (("time", "y", "x"), codes)},
        coords={"time": instants(START.replace(tzinfo=None)), **xr_coords(geobox)},
    )
    example = composites["monthly"][["red", "green", "blue"]].isel(time=0)
    example = example.assign_coords(time=mask["time"].to_numpy()[0], sensor="sentinel-2")
    return Material(
        record=record,
        series=series,
        composites=composites,
        masks={"sentinel-2": mask},
        example=example,
        job={
            "name": "lake & shore",
            "datetime": "2024-05-01T00:00:00Z/2024-07-01T00:00:00Z",
        },
        next_commands=("cloudmask query store --aoi lake.geojson",),
    )
