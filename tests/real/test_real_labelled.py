"""The trained network against human labels, and against the maps its own engine made."""

import numpy as np
import pytest

from pipeline.evaluate.labelled import by_model, evaluate_labelled
from pipeline.evaluate.labels import Labelled
from pipeline.evaluate.readers import reader_of
from pipeline.evaluate.results import Results
from pipeline.models import load, resolve
from pipeline.types import CleanSettings, Code

SIX_BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")

OWN_ENGINE = {"sentinel2": 0.903, "landsat7": 0.862}
"""Agreement of ukis-csmask's own engine with the classes of the reference files."""


def against_people(folder, cleaning):
    """Return the cloud F1 of each chip."""
    reader = reader_of("chips")
    model = load(resolve("ukis-csmask", level="L2A", roles=reader.card.roles))
    images = reader.read(folder, model.card.roles)
    results = Results(
        evaluate_labelled(images, by_model(model, reader.card, cleaning), reader.card)
    )
    assert results.evaluation.leak.startswith("leak: none known")
    return [row["cloud F1"] for row in results.image_rows()]


@pytest.mark.slow
@pytest.mark.parametrize(("dilate_m", "least"), [(0, 0.85), (60, 0.91)])
def test_clouds_that_people_drew(shared_data, dilate_m, least):
    cleaning = {"cloud": CleanSettings(dilate_m=dilate_m)} if dilate_m else None
    scores = against_people(shared_data / "labelled", cleaning)
    assert len(scores) == 3
    assert np.mean(scores) >= least


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN_ENGINE)
def test_maps_that_its_own_engine_made(shared_data, name):
    with np.load(shared_data / "reference" / f"ukis_{name}.npz") as file:
        pixels, classes = np.moveaxis(file["img"], -1, 0).copy(), file["msk"][..., 0]
    model = load(resolve("ukis-csmask", level="L1C", roles=SIX_BANDS))
    image = Labelled(
        id=name,
        labels=np.zeros(classes.shape, np.uint8),
        resolution_m=30.0,
        level="L1C",
        pixels=pixels,
        roles=SIX_BANDS,
    )
    codes = by_model(model, reader_of("sparcs").card).predict(image)
    # Of the file: 0 shadow, 1 water, 3 land, 4 cloud.
    wanted = np.select([classes == 4, classes == 0], [Code.THICK_CLOUD, Code.CLOUD_SHADOW], 1)
    assert (codes == wanted).mean() >= OWN_ENGINE[name] - 0.005
