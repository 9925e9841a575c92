"""A model against labelled images: the engine, masks that are there, tables and the page."""

import dataclasses
import json
import re

import numpy as np
import pytest

from pipeline.datasets import READERS, reader_of
from pipeline.datasets import labels as L
from pipeline.datasets.labels import Labelled, LabelledDataError
from pipeline.errors import ConfigError
from pipeline.evaluate.labelled import Masker, by_masks, by_model, evaluate_labelled
from pipeline.evaluate.leaks import TRAINED_ON, leak
from pipeline.evaluate.page import render, write_page
from pipeline.evaluate.results import Results
from pipeline.models import registry
from pipeline.testing.models import ThresholdModel, WindowMeanModel
from pipeline.types import CleanSettings, Code
from tests.evaluate import layouts

CARD = reader_of("chips").card
THREE = (Code.CLEAR, Code.THICK_CLOUD, Code.CLOUD_SHADOW)


def scene(name, pixels, labels, **more):
    return Labelled(
        id=name,
        labels=labels,
        resolution_m=10,
        level="L2A",
        pixels=pixels,
        roles=("blue", "nir"),
        **more,
    )


@pytest.fixture
def cloudy():
    """Three scenes with a bright square; the label of the n-th is n columns narrower."""
    scenes = []
    for n in range(3):
        pixels = np.full((2, 50, 70), 0.1, np.float32)
        pixels[:, 10:30, 20:40] = 0.9
        labels = np.full((50, 70), L.NOT_CLOUD, np.uint8)
        labels[10:30, 20 : 40 - 2 * n] = L.CLOUD
        scenes.append(scene(f"s{n}", pixels, labels, split="test", tags={"zone": "<b>"}))
    return scenes


def test_the_engine_sees_the_image_and_nothing_beyond(cloudy):
    model = ThresholdModel()
    masks = [by_model(model, CARD).predict(each) for each in cloudy]
    assert all((mask[10:30, 20:40] == Code.THICK_CLOUD).all() for mask in masks)
    assert sum((mask == Code.CLEAR).sum() for mask in masks) == 3 * (50 * 70 - 400)
    cloudy[0].pixels[1, :5] = np.nan
    assert (by_model(model, CARD).predict(cloudy[0])[:5] == Code.NO_DATA).all()


def test_bands_are_found_by_role(cloudy):
    # Blue alone would be cloud; red is dark.
    pixels = np.stack([np.full((8, 8), value, np.float32) for value in (0.9, 0.0, 0.1)])
    mixed = dataclasses.replace(
        cloudy[0],
        labels=np.full((8, 8), L.CLOUD, np.uint8),
        pixels=pixels,
        roles=("green", "nir", "blue"),
    )
    assert (by_model(ThresholdModel(), CARD).predict(mixed) == Code.CLEAR).all()


def test_windows_that_see_their_surroundings_work_too(cloudy):
    mask = by_model(WindowMeanModel(), CARD).predict(cloudy[0])
    assert mask.shape == (50, 70)
    assert (mask != Code.NO_DATA).all()


def test_cleaning_is_done_and_said(cloudy):
    masker = by_model(ThresholdModel(), CARD, {"cloud": CleanSettings(dilate_m=20)})
    assert masker.name == "threshold, cloud dilate_m 20"
    assert masker.predict(cloudy[0])[8, 30] == Code.THICK_CLOUD


def test_a_band_that_is_not_there(cloudy):
    with pytest.raises(ConfigError, match="image s0 has no red, which model threshold needs"):
        by_model(ThresholdModel(roles=("blue", "red")), CARD).predict(cloudy[0])
    bare = dataclasses.replace(cloudy[0], pixels=None, roles=())
    with pytest.raises(ConfigError, match="masks that are already made"):
        by_model(ThresholdModel(), CARD).predict(bare)


@pytest.fixture
def results(cloudy):
    return Results(evaluate_labelled(cloudy, by_model(ThresholdModel(), CARD), CARD, n_worst=2))


def test_numbers(results):
    assert [scheme.name for scheme in results.evaluation.schemes] == ["cloud"]
    assert results.buffers_px == (0, 2)
    f1 = results.summary("cloud", "cloud F1")
    tp, fp = 400 + 360 + 320, 40 + 80
    assert f1.pooled == pytest.approx(2 * tp / (2 * tp + fp))
    assert f1.median == pytest.approx(2 * 360 / (2 * 360 + 40))
    # Away from borders nothing of the second scene is wrong but what lies beyond two pixels.
    assert (
        results.summary("cloud", "cloud P", 2).pooled
        > results.summary("cloud", "cloud P").pooled
    )
    (plain, _) = results.fraction_rows()
    assert plain["mean"] == pytest.approx(100 * fp / (3 * 3500))


def test_the_worst_are_kept_worst_first(results):
    assert [example.labelled.id for example in results.evaluation.worst] == ["s2", "s1"]


def test_k_above_zero_never_stands_alone(cloudy):
    found = evaluate_labelled(cloudy, by_model(ThresholdModel(), CARD), CARD, buffers_px=(5,))
    results = Results(found)
    assert results.buffers_px == (0, 5)
    for row in results.measure_rows():
        assert list(row)[2:6] == ["pooled k=0", "pooled k=5", "median k=0", "median k=5"]


def test_every_table_states_the_leak(results):
    assert "leak: not known what threshold was trained on" in results.title()
    page = render(results)
    assert (
        page.count("<caption>") == len(re.findall(r"<caption>[^\n]*leak: not known", page)) >= 6
    )


def test_the_page_needs_nothing_and_escapes(results, tmp_path):
    path = write_page(results, tmp_path / "deep" / "page.html")
    page = path.read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "<script" not in page
    assert "zone &lt;b&gt;" in page
    assert page.count("data:image/png") == 2 * 3
    assert page.count("data:image/jpeg") == 2
    with pytest.raises(ConfigError, match="cannot be written"):
        write_page(results, path / "below")


def test_json_has_every_matrix(results):
    plain = json.loads(json.dumps(results.to_dict(), allow_nan=False))
    total = sum(np.array(i["counts"][0]["matrix"]) for i in plain["images"])
    assert total.tolist() == plain["schemes"]["cloud"]["matrix"]["0"]
    assert {each["buffer_px"] for each in plain["measures"]} == {0, 2}
    assert plain["images"][0]["tags"] == {"zone": "<b>"}


def test_counts_of_what_was_left_out(cloudy):
    cloudy[0].labels[0] = L.NO_DATA
    cloudy[1].labels[:2] = L.IGNORED
    results = Results(evaluate_labelled(cloudy, by_model(ThresholdModel(), CARD), CARD))
    counts = {row["pixels"]: row["count"] for row in results.count_rows()}
    assert counts["no image (not counted)"] == 70
    assert counts["label to be ignored (not counted)"] == 140
    assert counts["cloud: counted"] == 3 * 3500 - 210


def test_nothing_to_compare(cloudy):
    with pytest.raises(LabelledDataError, match="no labelled images"):
        evaluate_labelled([], by_model(ThresholdModel(), CARD), CARD)
    blind = Masker(name="blind", classes=(Code.CLEAR,), leak="", predict=lambda _: None)
    with pytest.raises(ConfigError, match="blind and the labels of"):
        evaluate_labelled(cloudy, blind, CARD)


def test_coarse_pixels_are_remarked(cloudy):
    model = ThresholdModel()
    model.card = dataclasses.replace(model.card, resolution_m=(30.0, 60.0))
    found = evaluate_labelled(cloudy, by_model(model, CARD), CARD)
    assert found.remarks[-1] == "threshold is meant for pixels of 30 to 60 m, these are of 10 m"


# -- masks that are there ----------------------------------------------------------------------


def test_masks_of_points(tmp_path):
    reader = reader_of("pixbox-s2")
    mask = np.array([[1, 5, 4, 6], [6, 1, 1, 1]], np.uint8)
    for name in ("11", "12"):
        layouts.tiff(tmp_path / f"{name}.tif", mask)
    images = reader.read(layouts.pixbox(tmp_path / "p"))
    results = Results(evaluate_labelled(images, by_masks(tmp_path), reader.card))
    rows = {row["class"]: row for row in results.point_rows()}
    # Of six points only the one under both cloud and shadow is wrong.
    assert rows["cloud"]["PA"] == pytest.approx(200 / 3)
    assert rows["shadow"]["UA"] == pytest.approx(50)
    assert rows["clear"]["OA"] == pytest.approx(100)
    assert "images are not part" in render(results)


def test_masks_on_a_finer_grid_are_taken_by_the_nearest(tmp_path):
    reader = reader_of("cesbio")
    root = layouts.cesbio(tmp_path / "c", codes=(2, 5))
    fine = np.kron(layouts.stripes((5, 1), (30, 40)), np.ones((3, 3), np.uint8))
    layouts.tiff(tmp_path / "Arles_20170917.tif", fine, step=20)
    results = Results(evaluate_labelled(reader.read(root), by_masks(tmp_path), reader.card))
    assert results.pooled(results.evaluation.schemes[0]).tolist() == [[600, 0], [0, 600]]


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        (None, "no such file"),
        (np.full((50, 70), 9, np.uint8), "other numbers"),
        (np.ones((50, 70), np.uint16), "other numbers"),
        (np.ones((5, 7), np.uint8), r"it is \(5, 7\)"),
    ],
)
def test_masks_that_do_not_fit(cloudy, tmp_path, mask, found):
    if mask is not None:
        layouts.tiff(tmp_path / "s0.tif", mask)
    with pytest.raises(LabelledDataError, match=f"s0.tif: .*{found}"):
        by_masks(tmp_path).predict(cloudy[0])


# -- leaks -------------------------------------------------------------------------------------


def test_leaks():
    card = ThresholdModel().card

    def told(name, dataset, **options):
        return leak(dataclasses.replace(card, name=name, options=options), dataset)

    assert told("ukis-csmask-4b-l2a", "sparcs") == "leak: ukis-csmask was trained on SPARCS"
    assert told("ukis-csmask-4b-l2a", "chips").startswith("leak: none known")
    assert "test split was excluded" in told("omnicloudmask-v4", "cloudsen12")
    ours = dataclasses.replace(
        card,
        name="trained-x",
        source="`cloudmask train`, experiment x",
        weights="trained on the simulator's stream and chips",
    )
    assert leak(ours, "chips").startswith("leak: trained-x was trained on")
    assert leak(ours, "sparcs").startswith("leak: none, trained-x")
    mean = registry.resolve("ensemble", level="L2A", roles=("blue", "green", "red", "nir"))
    assert leak(mean, "chips").startswith("leak: a member was trained on it")
    assert leak(mean, "sparcs") == "leak: ukis-csmask was trained on SPARCS"
    both = told("ensemble", "kappaset", members="omnicloudmask, ukis-csmask")
    assert both == "leak: omnicloudmask was trained on KappaSet"
    assert {name for seen in TRAINED_ON.values() for name in seen} <= set(READERS)
