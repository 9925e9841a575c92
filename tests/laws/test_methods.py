"""Laws of compositing methods in jobs: any partition, run twice is run once, and layers belong to pixels."""

import numpy as np
import pytest

from pipeline import cube, models, query, run, store
from pipeline.composite import method
from pipeline.errors import StoreError
from pipeline.models.engine.device import TorchDevice
from pipeline.testing import WindowMeanModel
from pipeline.types import CompositeSettings
from tests.laws.conftest import BANDS, LATTICE, make_job, use
from tests.laws.test_runs import in_aoi

pytestmark = pytest.mark.slow
METHODS = {
    "percentile": {"q": 25},
    "geomedian": {"mads": True},
    "medoid": {},
    "nearest": {"to": "geomedian"},
    "best": {"weights": {"doy": 1, "haze": 0.3, "sensor": 1}, "sensors": {"landsat": 0.5}},
    "max": {"index": "NDVI"},
    "latest": {},
    "weighted_mean": {"sensors": {"landsat": 0.5}},
}


@pytest.fixture(scope="module")
def jobs(summer, tmp_path_factory):
    """Return jobs on two stores, in one tile and in many, that have the masks already."""
    with pytest.MonkeyPatch.context() as patch:
        use(patch.setattr, WindowMeanModel(LATTICE))
        where = tmp_path_factory.mktemp("methods")
        cuts = ((512, 256, 1), (256, 128, 3))
        made = [
            make_job(
                summer, where / str(tile), tile_px=tile, chunk_px=chunk, workers=workers
            ).replace(name=f"law{tile}")
            for tile, chunk, workers in cuts
        ]
        for job in made:
            run.run(job)
        yield made


def with_method(job, name, options):
    settings = CompositeSettings(
        name=name, method=name, options=options, period="season", bands=tuple(BANDS)
    )
    return job.replace(composite=settings)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_makes_one_composite_of_any_partition_and_once(jobs, name):
    found, options = [], METHODS[name]
    for job in jobs:
        asked = with_method(job, name, options)
        run.run(asked)
        read = cube.METER.total()
        assert run.run(asked).snapshot is None
        assert cube.METER.total() == read
        found.append(in_aoi(store.open_archive(job.store).composite(name).load(), job))
    whole, cut = found
    layers = method(name, options).layers
    assert whole.attrs.get("layers", []) == list(layers)
    assert set(whole.data_vars) == {*BANDS, *layers, "count", "day", "source"}
    for variable in whole.data_vars:
        if variable != "source":
            np.testing.assert_array_equal(whole[variable], cut[variable], err_msg=variable)
    seen = whole["count"].values > 0
    assert seen.any()
    assert not seen.all()
    for layer, text in layers.items():
        assert whole[layer].attrs["long_name"] == text
        # BCMAD of what is dark in all bands is no number.
        assert not np.isfinite(whole[layer].values[~seen]).any()
        assert np.isfinite(whole[layer].values[seen]).mean() > 0.99


@pytest.mark.parametrize("name", ["geomedian", "medoid"])
def test_a_device_makes_the_composite_of_the_processor(jobs, name, monkeypatch):
    named = with_method(jobs[0], name, METHODS[name])
    run.run(named)
    monkeypatch.setattr(models, "composing_device", lambda _: TorchDevice("cpu", 2**24))
    there = named.replace(composite=named.composite.replace(name=f"{name}-there"))
    run.run(there)
    assert (
        run.run(named.replace(composite=named.composite.replace(device="cuda"))).snapshot
        is None
    )
    stored = store.open_archive(named.store)
    for variable, layer in stored.composite(name).load().data_vars.items():
        other = stored.composite(f"{name}-there")[variable]
        # The median deviations are within 1e-6: torch's square roots of float64 differ in the last bit.
        least = 1e-6 if variable in ("emad", "smad", "bcmad") else 0
        np.testing.assert_allclose(other, layer, rtol=0, atol=least, err_msg=str(variable))


def test_layers_are_exported_by_name(jobs, tmp_path):
    job = with_method(jobs[0], "best", METHODS["best"])
    run.run(job)
    stored = store.open_archive(job.store).composite("best")
    part = query.select_composite(stored, None, None, ["red", "score"])
    assert list(part.data_vars) == ["red", "score"]
    for suffix in ("tif", "nc"):
        query.export(part.isel(time=0), tmp_path / f"best.{suffix}")


def test_other_options_need_another_name_before_anything_is_read(jobs):
    asked = with_method(jobs[0], "percentile", METHODS["percentile"])
    run.run(asked)
    for other in ({}, {"q": 75}):
        with pytest.raises(StoreError, match="made with options .*another name"):
            run.plan_job(with_method(jobs[0], "percentile", other))
