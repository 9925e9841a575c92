"""How good a network is on patches that it never learns from: same sky, another seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.evaluate import confusion
from pipeline.models.networks.network import Network
from pipeline.simulate.patches import Patch, PatchSettings, make_patch, make_regional_patch
from pipeline.training.experiment import Experiment
from pipeline.training.sections import SourceSection
from pipeline.training.transfer import of_patch
from pipeline.types import CLOUD, USABLE, Code

SEED_APART = 1_000_003
"""Between the seed of what is learnt and that of what is judged."""

NEEDS = {"shadow_f1": Code.CLOUD_SHADOW, "water_f1": Code.WATER, "snow_f1": Code.SNOW}
"""Measure -> the class that a network must tell apart to be measured by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Scores on some patches, pixels of all of them together."""

    counts: NDArray[np.int64]
    """(7, 7) pixels by true and found code."""

    classes: Sequence[Code]
    """What the network tells apart."""

    @property
    def measures(self) -> Mapping[str, float]:
        """Return the measures that a curve shows, of classes that it tells; 0 where a class does not occur."""
        found = {
            "cloud_f1": self._f1(CLOUD),
            "shadow_f1": self._f1((Code.CLOUD_SHADOW,)),
            "thin_recall": self._found((Code.THIN_CLOUD,), CLOUD),
            "clear_kept": self._found(USABLE, USABLE),
            "water_f1": self._f1((Code.WATER,)),
            "snow_f1": self._f1((Code.SNOW,)),
        }
        return {
            name: each
            for name, each in found.items()
            if NEEDS.get(name) in (None, *self.classes)
        }

    @property
    def score(self) -> float:
        """Return the one number by which the best step is chosen: the mean F1 of cloud and, where it is told, shadow."""
        found = self.measures
        return (found["cloud_f1"] + found.get("shadow_f1", found["cloud_f1"])) / 2

    def _f1(self, codes: Sequence[Code]) -> float:
        inside = np.isin(np.arange(len(Code)), codes)
        both = int(self.counts[np.ix_(inside, inside)].sum())
        either = int(self.counts[inside].sum() + self.counts[:, inside].sum())
        return 2 * both / either if either else 0.0

    def _found(self, true: Sequence[Code], found: Sequence[Code]) -> float:
        rows = self.counts[list(map(int, true))]
        total = int(rows.sum())
        return int(rows[:, list(map(int, found))].sum()) / total if total else 0.0


def check_patches(experiment: Experiment) -> list[Patch]:
    """Return the patches that an experiment is judged on: those of its first stream, or of any.

    Where it learns from regions, too, every other one is a region's.
    """
    streams = [each for each in experiment.sources if each.stream is not None]
    regions = [each.regions for each in experiment.sources if each.regions is not None]
    seed = experiment.seed + SEED_APART
    return [
        make_regional_patch(seed, n, regions[0].main_bands)
        if regions and n % 2
        else _streamed(streams[:1], experiment.train.crop_px, (seed, n))
        for n in range(experiment.train.check_patches)
    ]


def _streamed(first: Sequence[SourceSection], size: int, number: tuple[int, int]) -> Patch:
    for source in first:
        if source.stream is not None:
            patch = make_patch(*number, source.stream.settings(size * source.times))
            return of_patch(patch) if source.seen_as else patch
    return make_patch(*number, PatchSettings(size_px=size))


def judge(
    net: Network, patches: Sequence[Patch], device: torch.device, classes: Sequence[Code]
) -> Judged:
    """Count what a network that scores some classes finds on patches, one at a time."""
    counts = np.zeros((len(Code), len(Code)), np.int64)
    was_training = net.training
    net.eval()
    with torch.inference_mode():
        for patch in patches:
            best = _best(net, patch, device)
            found = np.array([int(code) for code in classes], np.uint8)[best]
            true = patch.codes[: found.shape[0], : found.shape[1]]
            counts += confusion(true, found, len(Code))
    net.train(was_training)
    return Judged(counts=counts, classes=classes)


def _best(net: Network, patch: Patch, device: torch.device) -> NDArray[np.int64]:
    """Return the class of the highest score, by its place."""
    described = [(band.wavelength_um, band.width_um) for band in patch.bands]
    height, width = (edge - edge % net.stride_px for edge in patch.codes.shape)
    scores = net(
        torch.from_numpy(patch.pixels[:, :height, :width])[None].to(device),
        torch.tensor([described], device=device),
        torch.ones(1, len(described), dtype=torch.bool, device=device),
    )
    best: NDArray[np.int64] = scores[0].float().argmax(dim=0).cpu().numpy()
    return best
