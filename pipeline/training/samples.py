"""What is learnt from: crops of simulated patches and of labelled images, each following from seed and number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.datasets import labels, partial, reader_of
from pipeline.datasets.labels import Labelled
from pipeline.errors import LabelledDataError
from pipeline.simulate.bands import Band
from pipeline.simulate.patches import (
    SENSORS,
    Ground,
    Patch,
    PatchSettings,
    make_patch,
    make_regional_patch,
    under_clouds,
)
from pipeline.training import archives
from pipeline.training.experiment import Experiment
from pipeline.training.sample import Floats, Sample, Source
from pipeline.training.sections import DatasetSection, RegionsSection, SourceSection
from pipeline.training.teacher import Teacher
from pipeline.training.transfer import AsProbaV


class Stream:
    """The simulator; a scene is four crops large."""

    def __init__(self, settings: PatchSettings) -> None:
        """Draw from what the settings say."""
        self._settings = settings

    def scene(self, rng: np.random.Generator) -> Sample:
        """Make a patch that nobody has seen."""
        return _of_patch(
            make_patch(int(rng.integers(2**31)), int(rng.integers(2**31)), self._settings)
        )


class Regions:
    """Simulated archives."""

    def __init__(self, section: RegionsSection) -> None:
        """Draw from what the section says."""
        self._section = section

    def scene(self, rng: np.random.Generator) -> Sample:
        """Make a pass over a region that nobody has seen."""
        number = int(rng.integers(2**31)), int(rng.integers(2**31))
        return _of_patch(make_regional_patch(*number, self._section.main_bands))


def _of_patch(patch: Patch) -> Sample:
    return Sample(pixels=patch.pixels, labels=patch.labels, bands_um=_described(patch.bands))


def _described(bands: Sequence[Band]) -> Floats:
    return np.array([(band.wavelength_um, band.width_um) for band in bands], np.float32)


class Relabelled:
    """Another source, its labels seen through those of data sets, or of three classes."""

    def __init__(self, source: Source, section: SourceSection) -> None:
        """See a source as its section says."""
        self._source = source
        names = section.labels_of
        views = [partial.view(reader_of(name).card.known) for name in names] or [
            np.arange(256, dtype=np.uint8)
        ]
        last = partial.view(partial.THREE) if section.three_classes else np.arange(256)
        self._views = [np.asarray(last[each], np.uint8) for each in views]

    def scene(self, rng: np.random.Generator) -> Sample:
        """Draw a scene, the same as without this, and whose labels it has."""
        sample = self._source.scene(rng)
        # A generator of its own: crops are the same, too.
        view = self._views[int(rng.spawn(1)[0].integers(len(self._views)))]
        return replace(sample, labels=view[sample.labels])


class Images:
    """Real images, in memory."""

    def __init__(self, images: Sequence[Ground], skies: float, size_px: int) -> None:
        """Draw from images: under simulated clouds in a share of the draws, squares of at most `size_px`."""
        self._images, self._skies, self._size_px = images, skies, size_px

    def scene(self, rng: np.random.Generator) -> Sample:
        """Take one of the images, or a square of it under simulated clouds."""
        ground = self._images[int(rng.integers(len(self._images)))]
        pixels, drawn = ground.pixels, ground.labels
        if self._skies and rng.random() < self._skies:
            pixels, drawn = under_clouds(_square(ground, rng, self._size_px), rng)
        return Sample(pixels=pixels, labels=drawn, bands_um=_described(ground.bands))


def labelled(section: DatasetSection, crop_px: int) -> list[Ground]:
    """Read a labelled data set without the images that are kept for judging.

    Raises
    ------
    LabelledDataError
        A file is missing or malformed, or nothing is left to learn from.
    ModelError
        There is no such teacher, or it does not fit the images.
    """
    found = [
        _as_ground(image, section, crop_px)
        for image in _images(section)
        if (image.labels > labels.NO_DATA).any()
    ]
    if not found:
        raise LabelledDataError(
            f"data set {section.name} at {section.path}: no image is left to learn from; "
            f"leave_out names {', '.join(section.leave_out) or 'none'}"
        )
    return found


def _square(ground: Ground, rng: np.random.Generator, most_px: int) -> Ground:
    """Cut out a square whose edge is a multiple of 8."""
    edge = min(*ground.labels.shape, most_px) // 8 * 8
    top, left = (int(rng.integers(size - edge + 1)) for size in ground.labels.shape)
    window = slice(top, top + edge), slice(left, left + edge)
    return replace(ground, pixels=ground.pixels[:, *window], labels=ground.labels[window])


def _images(section: DatasetSection) -> Iterator[Labelled]:
    """Read the images that may be learnt from, with the teacher's opinion where there is one."""
    reader = reader_of(section.name)
    teacher = Teacher(section.teacher, reader.card) if section.teacher else None
    for image in reader.read(Path(section.path), section.roles):
        if not image.id.startswith(section.leave_out or ("\0",)):
            yield teacher.taught(image) if teacher else image


def _as_ground(image: Labelled, section: DatasetSection, crop_px: int) -> Ground:
    if image.pixels is None or not image.roles:
        raise LabelledDataError(
            f"data set {section.name}: image {image.id} has none of the bands "
            f"{', '.join(section.roles)}; its images may come apart from its labels"
        )
    known = {band.role: band for band in SENSORS[section.sensor].bands}
    # Narrow and broad near infrared are one band of sensors that have but one.
    for one, other in (("nir", "nir08"), ("nir08", "nir")):
        if one not in known and other in known:
            known[one] = known[other]
    lacking = [role for role in image.roles if role not in known]
    if lacking:
        raise LabelledDataError(
            f"data set {section.name}: sensor {section.sensor} has no {', '.join(lacking)}; it has "
            f"{', '.join(known)}"
        )
    missing = np.isnan(image.pixels).any(axis=0)
    drawn = np.where(missing, np.uint8(labels.NO_DATA), image.labels)
    height, width = drawn.shape
    around = ((0, max(0, crop_px - height)), (0, max(0, crop_px - width)))
    return Ground(
        pixels=np.pad(np.nan_to_num(image.pixels), ((0, 0), *around)),
        labels=np.pad(drawn, around, constant_values=labels.NO_DATA),
        bands=[known[role] for role in image.roles],
        pixel_m=image.resolution_m,
        level="L1C" if image.level == "L1C" else "L2A",
    )


class Mixture:
    """Sources by their weights; draw number *n* is the same whenever and wherever it is made."""

    def __init__(self, experiment: Experiment) -> None:
        """Open the sources of an experiment.

        Raises
        ------
        LabelledDataError
            A data set cannot be read.
        StoreError, AssetError, AccessError
            An archive, or a raster of its items, cannot be read.
        """
        crop_px = experiment.train.crop_px
        self._seed = experiment.seed
        self._sources: list[Source] = []
        for each in experiment.sources:
            source = _opened(each, each.times * crop_px)
            source = AsProbaV(source) if each.seen_as else source
            relabelled = each.labels_of or each.three_classes
            self._sources.append(Relabelled(source, each) if relabelled else source)
        weights = np.array([each.weight for each in experiment.sources])
        self._shares: Sequence[float] = (weights / weights.sum()).tolist()

    def scene(self, number: int) -> tuple[Sample, np.random.Generator]:
        """Draw a scene, and the randomness that its crops are to be varied by."""
        rng = np.random.default_rng([self._seed, 17, number])
        source = self._sources[int(rng.choice(len(self._sources), p=self._shares))]
        return source.scene(rng), rng


def _opened(section: SourceSection, crop_px: int) -> Source:
    if section.stream is not None:
        return Stream(section.stream.settings(2 * crop_px))
    if section.regions is not None:
        return Regions(section.regions)
    if section.dataset is not None:
        return Images(labelled(section.dataset, crop_px), section.dataset.skies, 2 * crop_px)
    assert section.archive is not None
    return Images(
        archives.grounds(section.archive, 2 * crop_px), section.archive.skies, 2 * crop_px
    )
