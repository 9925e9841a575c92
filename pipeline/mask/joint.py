"""A combined model whose members share one lattice: each window is read and decided once, by all members.

Where no other window overlaps, a pixel is decided at once; of the rest the members' weighted scores are kept, one above the other,
and combined when those of the neighbour have been added. Windows at the edges of tiles are cached for the neighbours as those of
any model are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline.errors import CloudmaskError, ModelError
from pipeline.mask import blocks, queue, scores
from pipeline.mask.decide import choose, count_not_finite
from pipeline.mask.lattice import (
    geobox_cores,
    overlapping_parts,
    sole_part,
    support,
    window_weights,
)
from pipeline.mask.layout import Layout
from pipeline.mask.overlap_add import WindowResult
from pipeline.mask.shared import SharedWindows
from pipeline.mask.tasks import Decider, WindowPixels
from pipeline.types import Model, ModelCard

FloatArray = NDArray[np.float32]
Codes = NDArray[np.uint8]


@runtime_checkable
class Combination(Protocol):
    """A `Model` made of other models, such as `pipeline.models.combined.ensemble`.

    For any rectangle, its card's lattice reads at least the pixels that the lattice of each member reads.
    """

    card: ModelCard
    members: Sequence[Model]

    def combine(self, scores: Sequence[FloatArray]) -> FloatArray:
        """Combine the members' scores of the same pixels.

        Parameters
        ----------
        scores
            For each member (N, K, H, W) float32, finite, of its classes; see its card.

        Returns
        -------
        (N, C, H, W) float32, finite, for the classes of the combination; each pixel is combined independently.
        """
        ...


def share_windows(model: Combination) -> bool:
    """Return whether windows of the combination are windows of every member, none of which is a combination itself."""
    return not any(
        isinstance(each, Combination) or each.card.lattice != model.card.lattice
        for each in model.members
    )


def joint_windows(
    cube: xr.Dataset, model: Combination, geobox: GeoBox, shared: SharedWindows | None
) -> da.Array:
    """Return (time, plane, y, x) codes and confidence of a geobox, by a combination for which `share_windows` holds."""
    layout = Layout.of(model.card, geobox_cores(model.card.lattice, geobox))
    chosen = JointChoice(model)
    decider = JointDecider(chosen, layout, shared)
    return blocks.decided(cube, layout, decider, chosen, geobox, confidence=True)


def combine(model: Combination, parts: Sequence[FloatArray]) -> FloatArray:
    """Combine the members' scores (N, K, y, x) of the same pixels into (N, C, y, x).

    Raises
    ------
    ModelError
        The model failed, or what it returned is not finite, or of another shape or dtype.
    """
    name = model.card.name
    try:
        joined = model.combine(parts)
    except CloudmaskError:
        raise
    except Exception as error:
        raise ModelError(
            f"model {name} failed to combine its members' scores: {type(error).__name__}: {error}"
        ) from error
    expected = (len(parts[0]), len(model.card.classes), *parts[0].shape[2:])
    if joined.shape != expected or joined.dtype != np.float32:
        raise ModelError(
            f"model {name} combined its members' scores to {joined.dtype} of shape "
            f"{joined.shape}, expected float32 of {expected}"
        )
    if not np.isfinite(joined).all():
        raise ModelError(
            f"model {name} combined its members' scores to numbers that are not finite"
        )
    return joined


@dataclass(frozen=True, slots=True)
class JointChoice:
    """The members' scores, one above the other (ΣK, y, x), and where there is no data -> (2, y, x) codes and confidence."""

    model: Combination

    @property
    def n_scores(self) -> int:
        """How many scores a pixel has: of all members together."""
        return sum(len(each.card.classes) for each in self.model.members)

    def __call__(self, sums: FloatArray, missing: NDArray[np.bool_]) -> Codes:
        """Combine and decide."""
        counts = [len(each.card.classes) for each in self.model.members]
        return self.of_parts(np.split(sums, np.cumsum(counts)[:-1]), missing)

    def of_parts(self, parts: Sequence[FloatArray], missing: NDArray[np.bool_]) -> Codes:
        """Combine and decide the scores (K, y, x) of each member."""
        if not missing.size:
            return np.zeros((2, *missing.shape), np.uint8)
        if missing.any():
            parts = [np.where(missing, np.float32(0), each) for each in parts]
        joined = combine(self.model, [each[np.newaxis] for each in parts])[0]
        codes: Codes = choose(self.model.card, joined, missing, confidence=True)
        return codes


class JointDecider(Decider):
    """Blocks of bands -> for each window of one row its codes, and the members' scores for its neighbours."""

    def __init__(
        self, chosen: JointChoice, layout: Layout, shared: SharedWindows | None
    ) -> None:
        # Of the combination itself the base classes ask the card alone.
        super().__init__(cast("Model", chosen.model), layout, shared, confidence=True)
        self._chosen = chosen

    @property
    def _n_scores(self) -> int:
        return self._chosen.n_scores

    def _by_model(self, windows: list[WindowPixels]) -> list[WindowResult]:
        said = [self._said(member, windows) for member in self._chosen.model.members]
        return [
            self._result(each, parts)
            for each, parts in zip(windows, zip(*said, strict=True), strict=True)
        ]

    def _said(self, member: Model, windows: list[WindowPixels]) -> list[FloatArray]:
        """Return a member's scores (K, S, S) of the support of each window."""
        card = member.card
        bands = [self.card.roles.index(role) for role in card.roles]
        every = bands == [*range(len(self.card.roles))]
        answers = self._asked(
            windows,
            lambda asked: queue.predict(
                member, [each.image if every else each.image[bands] for each in asked]
            ),
            card.name,
        )
        said = []
        for window, answer in zip(windows, answers, strict=True):
            scores.check_shape(card, answer, window.name)
            part = support(card.lattice, answer)
            n_bad = int(count_not_finite(part, window.missing))
            scores.check_finite(card, n_bad, window.name)
            said.append(part)
        return said

    def _result(self, window: WindowPixels, parts: Sequence[FloatArray]) -> WindowResult:
        lattice, missing = self.card.lattice, window.missing
        sole, weights = sole_part(lattice), window_weights(lattice)
        codes = self._chosen.of_parts(
            [each[:, sole, sole] for each in parts], missing[sole, sole]
        )
        edges = []
        for ys, xs in overlapping_parts(lattice):
            edge = np.concatenate([each[:, ys, xs] for each in parts]) * weights[ys, xs]
            edge[:, missing[ys, xs]] = np.nan
            edges.append(edge)
        return WindowResult(codes, *edges)
