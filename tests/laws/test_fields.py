"""A field by itself has the masks and composites that it has in a region, to the bit, and no pixel more is computed."""

import numpy as np
import pytest

from pipeline import mask, run
from pipeline.config import parse_job
from pipeline.run.plan import prepare
from pipeline.testing import WindowMeanModel
from tests.laws.conftest import BANDS, LATTICE, contents, use

FIELD = [11.6661, 48.2242, 11.6690, 48.2262]
"""5 ha."""


def job_of(summer, where, aoi=FIELD, **parts):
    whole = {
        "name": "field",
        "aoi": aoi,
        "datetime": "2023-06-01/2023-08-31",
        "sources": [{"catalog": str(summer)}],
        "composite": {"name": "monthly", "bands": BANDS},
        "store": str(where),
    }
    return parse_job(whole | parts, base=where.parent)


@pytest.fixture
def asked(monkeypatch):
    """Put a model in the networks' place; return the number of windows that it was asked for, as it grows."""
    model = WindowMeanModel(LATTICE)
    counts, predict = [], WindowMeanModel.predict
    use(monkeypatch.setattr, model)

    def counted(self, windows):
        counts.append(len(windows))
        return predict(self, windows)

    monkeypatch.setattr(WindowMeanModel, "predict", counted)
    return counts


def test_a_field_is_cut_out_of_its_region(summer, undisturbed, asked, tmp_path):
    job = job_of(summer, tmp_path / "field")
    plan = run.plan_job(job)
    assert max(plan.grid.geobox.shape) <= 128
    assert len(plan.tiles) == 1
    run.run(job)
    _, region = undisturbed
    field = contents(job.store)
    n_scenes = 0
    for name, made in field.items():
        if name == "items":
            continue
        there = region[name].sel(y=made["y"], x=made["x"], time=made["time"])
        # Positions of items are others, and so is the number of tiles.
        pixels = [each for each in made.data_vars if {"y", "x"} <= set(made[each].dims)]
        for each in set(pixels) - {"source"}:
            np.testing.assert_array_equal(made[each], there[each], err_msg=f"{name} {each}")
        n_scenes += made.sizes["time"] if name.startswith("masks/") else 0
    assert (field["masks/sentinel-2"]["mask"] > 0).any()
    # Only windows that decide a pixel of the field have run, each once.
    cores = mask.lattice.geobox_cores(LATTICE, plan.grid.geobox)
    assert 0 < sum(asked) <= n_scenes * cores.rows * cores.cols


def test_the_grid_of_a_store_stays(summer, asked, tmp_path, monkeypatch):
    """A store that an earlier version made of a field has 512 px; and an AOI may shrink, or grow a little."""
    june = {"datetime": "2023-06"}
    monkeypatch.setattr(prepare, "_looks_around", lambda _: True)
    earlier = job_of(summer, tmp_path / "earlier", **june)
    run.run(earlier)
    monkeypatch.undo()
    use(monkeypatch.setattr, WindowMeanModel(LATTICE))
    again = run.plan_job(earlier)
    assert max(again.grid.geobox.shape) >= 512
    assert again.nothing_to_do

    job = job_of(summer, tmp_path / "field", **june)
    run.run(job)
    drawn = run.plan_job(job).grid
    west, south, east, north = FIELD
    inside = [west, south, east - 0.002, north - 0.001]
    smaller = job_of(summer, tmp_path / "field", inside, **june)
    assert run.plan_job(smaller).grid == drawn


@pytest.mark.parametrize(
    "parts",
    [
        {"composite": {"method": "best", "bands": ["blue", "red"]}},
        {"mask": {"guard": {}}},
        {"grid": {"chunk_px": 16, "tile_px": 512}},
    ],
)
def test_what_looks_around_a_field_has_the_usual_grid(summer, asked, tmp_path, parts):
    plan = run.plan_job(job_of(summer, tmp_path / "field", **parts))
    assert min(plan.grid.geobox.shape) >= 512
