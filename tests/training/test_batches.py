"""Samples and batches: what is drawn follows from its number, and labels stay with their pixels."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.datasets import partial
from pipeline.datasets.labels import CLOUD, NO_DATA, NOT_CLOUD
from pipeline.datasets.readers.sparcs import TABLE as SPARCS
from pipeline.errors import LabelledDataError
from pipeline.training import Experiment
from pipeline.training import batches as made
from pipeline.training.augment import cropped, turned, varied
from pipeline.training.batches import CROPS, GROUP, batches, together
from pipeline.training.experiment import AugmentSection
from pipeline.training.judging import check_patches
from pipeline.training.sample import Sample


def sample(size=48, bands=3):
    rng = np.random.default_rng(1)
    pixels = rng.random((bands, size, size), np.float32)
    labels = np.where(pixels[0] > 0.5, 64, 2).astype(np.uint8)
    described = np.array([(0.49 + 0.1 * n, 0.05) for n in range(bands)], np.float32)
    return Sample(pixels=pixels, labels=labels, bands_um=described)


def test_a_batch_is_the_same_wherever_one_begins(tiny):
    first = batches(tiny, 0)
    several = [next(first) for _ in range(6)]
    later = next(batches(tiny, 5))
    np.testing.assert_array_equal(later.images, several[5].images)
    np.testing.assert_array_equal(later.labels, several[5].labels)
    assert several[0].labels.any()


def test_every_crop_is_used_once_and_batches_in_a_row_have_other_scenes(tiny, monkeypatch):
    def crops(_mixture, _experiment, number):
        marked = np.full((1, 32, 32), number, np.float32)
        return [replace(sample(32, 1), pixels=marked) for _ in range(CROPS)]

    monkeypatch.setattr(made, "crops", crops)
    drawn = batches(tiny, 0)
    scenes = [sorted(next(drawn).images[:, 0, 0, 0]) for _ in range(2 * GROUP)]
    in_group = np.ravel(scenes[:GROUP])
    assert np.bincount(in_group.astype(int)).tolist() == [CROPS] * (
        tiny.train.batch * GROUP // CROPS
    )
    assert np.ravel(scenes[GROUP:]).min() > in_group.max()
    alike = sum(one == other for one, other in pairwise(scenes))
    assert alike < GROUP / 4


def test_labels_of_data_sets_are_seen_on_the_same_images(tiny):
    def first(**how):
        sources = [{"stream": tiny.sources[0].stream.model_dump(), **how}]
        given = tiny.model_dump(exclude={"sources"}) | {"sources": sources}
        return next(batches(Experiment.model_validate(given), 0))

    full = first()
    for how, table in (
        ({"labels_of": ["sparcs"]}, partial.view(SPARCS.values())),
        ({"three_classes": True}, partial.view(partial.THREE)),
    ):
        seen = first(**how)
        np.testing.assert_array_equal(seen.images, full.images)
        np.testing.assert_array_equal(seen.labels, table[full.labels])
    both = first(labels_of=["38cloud"], three_classes=True)
    assert set(np.unique(both.labels)) <= {NO_DATA, NOT_CLOUD, CLOUD, CLOUD | NOT_CLOUD}
    with pytest.raises(ValidationError, match="label every class"):
        first(labels_of=["unlabelled-chips"])


def test_neither_heat_nor_radar_nor_height_is_made_brighter_or_hazier():
    bare = sample(bands=4)
    described = np.array([(0.49, 0.06), (10.9, 0.6), (55_466, 27_733), (0, 0)], np.float32)
    how = AugmentSection(noise=0, blur=0, gaps=0)
    found = varied(replace(bare, bands_um=described), np.random.default_rng(1), how)
    np.testing.assert_array_equal(found.pixels[1:], bare.pixels[1:])
    assert not np.allclose(found.pixels[0], bare.pixels[0], atol=1e-3)


def test_regions_are_learnt_from_like_other_patches(tiny):
    from_regions = Experiment.model_validate(
        tiny.model_dump(exclude={"sources"}) | {"sources": [{"regions": {"main_bands": 1}}]}
    )
    batch = next(batches(from_regions, 0))
    assert batch.images.shape == (2, 4, 32, 32)
    assert batch.labels.any()
    assert len(check_patches(from_regions)) == 2


def test_a_batch_has_room_for_as_many_bands_as_a_compiled_network_expects():
    batch = together([sample(bands=3)], least=6)
    assert batch.images.shape[1] == 6
    assert batch.present.tolist() == [[True] * 3 + [False] * 3]


def test_absent_bands_are_told_from_those_that_are_there():
    batch = together([sample(bands=3), sample(bands=5)])
    assert batch.images.shape == (2, 5, 48, 48)
    assert batch.present.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    assert (batch.images[0, 3:] == 0).all()


@pytest.mark.parametrize("seed", range(8))
def test_labels_turn_with_their_pixels(seed):
    found = turned(sample(), np.random.default_rng(seed))
    np.testing.assert_array_equal(found.labels == 64, found.pixels[0] > 0.5)


def test_a_crop_at_its_own_scale_is_a_part_of_the_image():
    whole = sample()
    found = cropped(whole, np.random.default_rng(0), 32, (1.0, 1.0))
    assert found.pixels.shape == (3, 32, 32)
    np.testing.assert_array_equal(found.labels == 64, found.pixels[0] > 0.5)


def test_a_crop_of_another_scale_has_the_size_that_was_asked_for():
    found = cropped(sample(), np.random.default_rng(2), 32, (0.7, 0.8))
    assert found.pixels.shape == (3, 32, 32)
    assert found.labels.shape == (32, 32)
    assert set(np.unique(found.labels)) <= {2, 64}


def test_what_is_varied_stays_finite_and_gaps_are_no_data(tiny):
    how = tiny.augment.model_copy(update={"gaps": 1.0})
    found = varied(sample(), np.random.default_rng(0), how)
    assert np.isfinite(found.pixels).all()
    assert (found.labels == 1).any()


def test_a_data_set_that_is_not_there_is_named(tiny, tmp_path):
    missing = {
        "dataset": {"name": "chips", "path": str(tmp_path / "no"), "sensor": "sentinel-2"}
    }
    wrong = Experiment.model_validate(
        tiny.model_dump(exclude={"sources"}) | {"sources": [missing]}
    )
    with pytest.raises(LabelledDataError, match="no"):
        next(batches(wrong, 0))
