"""``tta``: test-time augmentation. Averages a model's scores over rotated and mirrored windows while they are noisy.

::

    mask:
      model: tta
      options: {model: ukis-csmask, depth: 3}

The rule is that of CloudS2Mask 1.1: probabilities are averaged over quarter turns, then over quarter turns
of the mirrored window. The next turn is run only while the averaged classes have more than 10 isolated pixels per
512 x 512 (pixels none of whose neighbours has their class); other windows cost one run, as without `tta`.
CloudS2Mask's own networks are not offered: they are published as pickles, which run code when read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.models.combined import members
from pipeline.models.combined.members import Member
from pipeline.models.families import options as option
from pipeline.types import Model, ModelCard

NAME = "tta"

TURNS: tuple[tuple[int, bool], ...] = tuple(
    (quarters, mirrored) for mirrored in (False, True) for quarters in range(4)
)
"""(quarter turns counter-clockwise, whether mirrored left to right before), in the order of the runs."""

ISOLATED_PER_PIXEL = 10 / 512**2
"""Share of isolated pixels in a window above which the next turn is run."""

Array = NDArray[np.float32]


class TtaModel:
    """A model and the number of turns to average; thread-safe if the model is."""

    def __init__(self, card: ModelCard, model: Model) -> None:
        """Wrap a loaded model."""
        self.card = card
        self._model = model
        self._turns = TURNS[: 1 + int(card.options["depth"])]

    def predict(self, windows: Array) -> Array:
        """Score windows (N, B, H, W), H = W; see `pipeline.types.Model`.

        Returns
        -------
        (N, K, H, W) float32 probabilities. The number of turns of a window does not depend on other windows.
        """
        missing = np.logical_or.reduce(np.isnan(windows), axis=1)
        total = np.zeros((len(windows), len(self.card.classes), *windows.shape[2:]), np.float32)
        asked = np.zeros(len(windows), np.float32)
        restless = np.arange(len(windows))
        for turn in self._turns:
            total[restless] += self._answer(windows[restless], turn)
            asked[restless] += 1
            restless = np.array(
                [n for n in restless if is_noisy(total[n], missing[n])], dtype=np.intp
            )
            if not restless.size:
                break
        total /= asked[:, np.newaxis, np.newaxis, np.newaxis]
        return total

    def _answer(self, windows: Array, turn: tuple[int, bool]) -> Array:
        turned = np.ascontiguousarray(turn_by(windows, turn))
        scores = members.probabilities(self._model.card, self._model.predict(turned))
        return turn_back(scores, turn)


def turn_by(windows: Array, turn: tuple[int, bool]) -> Array:
    """Apply a turn of `TURNS` to windows (…, H, W)."""
    quarters, mirrored = turn
    return np.rot90(windows[..., ::-1] if mirrored else windows, quarters, axes=(-2, -1))


def turn_back(windows: Array, turn: tuple[int, bool]) -> Array:
    """Undo `turn_by`."""
    quarters, mirrored = turn
    turned = np.rot90(windows, -quarters, axes=(-2, -1))
    return turned[..., ::-1] if mirrored else turned


def is_noisy(scores: Array, missing: NDArray[np.bool_]) -> bool:
    """Return whether a window's classes have too many isolated pixels.

    Parameters
    ----------
    scores
        (K, H, W), on any scale.
    missing
        (H, W), true where there is no data; such pixels are not counted.
    """
    classes = scores.argmax(axis=0)
    classes[missing] = 0
    return bool(n_isolated(classes, missing) > ISOLATED_PER_PIXEL * classes.size)


def n_isolated(classes: NDArray[np.intp], missing: NDArray[np.bool_]) -> int:
    """Count pixels of (H, W) none of whose eight neighbours has their class; pixels beyond the edge are class 0."""
    height, width = classes.shape
    framed = np.pad(classes, 1)
    alone = ~missing
    for y in range(3):
        for x in range(3):
            if (y, x) != (1, 1):
                alone &= framed[y : y + height, x : x + width] != classes
    return int(np.count_nonzero(alone))


class Tta:
    """The provider of this model; see `pipeline.models.Provider`."""

    def names(self) -> tuple[str, ...]:
        """Return its name."""
        return (NAME,)

    def resolve(
        self,
        name: str,  # noqa: ARG002 - it has one model
        *,
        level: str,
        roles: Collection[str],
        options: Mapping[str, Any],
    ) -> ModelCard:
        """Find the model inside for some items; see `pipeline.models.resolve`."""
        option.refuse_unknown(NAME, options, ("model", "options", "depth"))
        if "model" not in options:
            raise ModelError(
                f"{NAME} needs its option model, the model to ask, e.g. ukis-csmask"
            )
        depth = option.whole(0, len(TURNS) - 1)(
            f"option depth of {NAME}", options.get("depth", len(TURNS) - 1)
        )
        inner = members.from_json(f"option options of {NAME}", options.get("options", {}))
        asked = members.member(
            NAME, {"model": options["model"], "options": inner}, level=level, roles=roles
        )
        if len(asked.lattices()) > 1:
            raise ModelError(
                f"{NAME} turns windows, and the members of {asked.card.name} have windows of different "
                f"sizes: give it members that are {NAME} themselves, such as "
                "{model: tta, options: {model: ukis-csmask}}"
            )
        return _card(asked, level, depth)

    def load(self, card: ModelCard) -> Model:
        """Load the model inside; see `pipeline.models.load`."""
        (asked,) = self.inside(card)
        return TtaModel(card, asked.load())

    def inside(self, card: ModelCard) -> list[Member]:
        """Find the model inside a card again, here or in another process."""
        inner = members.from_json(f"option options of {NAME}", card.options["options"])
        named = {"model": card.options["model"], "options": inner}
        return [members.member(NAME, named, level=card.levels[0], roles=card.roles)]

    def bytes_needed(self, card: ModelCard, *, windows: int) -> int:
        """State the memory of the model and of its answers; see `pipeline.models.bytes_needed`."""
        pixels = windows * card.lattice.window_px**2
        own = pixels * (4 * len(card.roles) + 4 * 4 * len(card.classes) + 2 * 8)
        return own + sum(each.bytes_needed(windows) for each in self.inside(card))


def _card(asked: Member, level: str, depth: str) -> ModelCard:
    named = asked.named()
    return replace(
        asked.card,
        name=NAME,
        version=f"1-{asked.card.name}-{asked.card.version}",
        levels=(level,),
        scores="probabilities",
        accuracy=f"that of {asked.card.name}: {asked.card.accuracy}",
        options={
            "model": named["model"],
            "options": members.to_json(named["options"]),
            "depth": depth,
        },
    )
