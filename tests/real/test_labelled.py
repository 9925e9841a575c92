"""The trained network against human labels, and against the maps its own engine made."""

import numpy as np
import pytest

from pipeline.datasets import reader_of
from pipeline.datasets.labels import Labelled
from pipeline.evaluate.labelled import by_model, evaluate_labelled
from pipeline.evaluate.results import Results
from pipeline.models import load, resolve
from pipeline.types import CleanSettings, Code

SIX_BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")

PLACEMENTS = ((0, 0), (26, 77), (102, 102), (64, 128), (128, 64))
"""Rows and columns by which a reference image is moved against the windows of both engines."""


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


def reference(folder, name):
    """Return reflectance (band, y, x) and the classes of a reference file as 0 rest, 1 cloud, 2 shadow."""
    with np.load(folder / "reference" / f"ukis_{name}.npz") as file:
        pixels, classes = np.moveaxis(file["img"], -1, 0).copy(), file["msk"][..., 0]
    # Of the file: 0 shadow, 1 water, 3 land, 4 cloud.
    return pixels, np.select([classes == 4, classes == 0], [1, 2], 0)


def by_our_engine(pixels, moved):
    model = load(resolve("ukis-csmask", level="L1C", roles=SIX_BANDS))
    padded = np.pad(pixels, ((0, 0), (moved[0], 0), (moved[1], 0)), constant_values=np.nan)
    image = Labelled(
        id="reference",
        labels=np.zeros(padded.shape[1:], np.uint8),
        resolution_m=30.0,
        level="L1C",
        pixels=padded,
        roles=SIX_BANDS,
    )
    codes = by_model(model, reader_of("sparcs").card).predict(image)[moved[0] :, moved[1] :]
    return np.select([codes == Code.THICK_CLOUD, codes == Code.CLOUD_SHADOW], [1, 2], 0)


def by_its_own_engine(pixels, moved):
    from ukis_csmask.mask import CSmask  # noqa: PLC0415 - starts onnxruntime

    # It knows no gaps: what lies before the image is its mirror.
    padded = np.pad(pixels, ((0, 0), (moved[0], 0), (moved[1], 0)), mode="symmetric")
    made = CSmask(np.moveaxis(padded, 0, -1).copy(), list(SIX_BANDS), product_level="l1c")
    return made.csm[moved[0] :, moved[1] :, 0]


@pytest.mark.slow
def test_agrees_with_the_reference_maps_as_well_as_the_network_s_own_engine(shared_data):
    """The maps were made by an earlier network in windows of 256 px, whose seams they show.

    Where the windows of either engine lie moves its agreement by up to a point, so that one
    placement says nothing: both are asked at the same five, on both sensors.
    """
    agreement = {by_our_engine: [], by_its_own_engine: []}
    for name in ("sentinel2", "landsat7"):
        pixels, wanted = reference(shared_data, name)
        for engine, found in agreement.items():
            found += [(engine(pixels, moved) == wanted).mean() for moved in PLACEMENTS]
    ours, theirs = (np.mean(agreement[each]) for each in (by_our_engine, by_its_own_engine))
    print(f"agreement: ours {agreement[by_our_engine]}, its own {agreement[by_its_own_engine]}")
    assert ours >= theirs - 0.001
