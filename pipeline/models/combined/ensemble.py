"""``ensemble``: combines any models, each with its own bands, classes and options.

::

    mask:
      model: ensemble
      options:
        members: [ukis-csmask, {model: scl}]
        rule: mean            # or majority, union, confirmed
        weights: [2, 1]       # not for union

A pixel is decided in two steps (`pipeline.models.combined.members.GROUPS`): first cloud, shadow or ground, then
which kind of it. ``mean`` averages probabilities, ``majority`` counts votes, ``union`` takes cloud if any member
sees one, else shadow. ``confirmed`` takes the first member's answer, but its shadows only where another member sees
shadow or cloud, too. A tie is never ground, and a member without data for a pixel abstains.

Without members it is the mean of `MEMBERS` by their weights: the default of a job. Options ``precision`` and ``device`` are given to every
member that does not say its own.

Each member masks on its own lattice and blends its own windows; their results are then combined pixel by pixel,
so a member scores exactly as it does alone. The card's lattice only covers the pixels that all of them read. Networks trained
here that look at a bounded neighbourhood are an exception: they take the windows of the others, score nearly as alone, and nothing
is read round a tile for them (`Member.step_px`).
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.models.combined import members as combining
from pipeline.models.combined.members import GROUPS, Member
from pipeline.models.families import options as option
from pipeline.types import Code, Model, ModelCard

NAME = "ensemble"
RULES = ("mean", "majority", "union", "confirmed")
MEMBERS: Mapping[str, float] = MappingProxyType({"ukis-csmask": 1.0, "cloudmask-si": 2.0})
"""Members and their weights where a job names none: together better than either alone (docs/evaluation.md)."""
FOR_ALL = ("precision", "device")
"""Options that are given to every member."""


class EnsembleModel:
    """Members and a rule; thread-safe if its members are.

    It is a `pipeline.mask.joint.Combination`: the mask room runs the members one by one.
    """

    def __init__(self, card: ModelCard, members: Sequence[Model]) -> None:
        """Join the loaded members of a card."""
        self.card = card
        self.members = tuple(members)
        self._rule = card.options["rule"]
        weights = np.array(combining.from_json("weights", card.options["weights"]), np.float32)
        self._weights = weights / weights.sum()
        # No data is an answer only where no member has another one.
        self._codes = tuple(code for code in card.classes if code != Code.NO_DATA)

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score windows (N, B, H, W) with every member; see `pipeline.types.Model`.

        For callers that have windows instead of a scene, such as ``tta``.

        Raises
        ------
        ModelError
            The members' lattices differ, so that no window fits all of them.
        """
        for each in self.members:
            if each.card.lattice != self.card.lattice:
                raise ModelError(
                    f"{each.card.name} ({combining.words(each.card.lattice)}) cannot be asked about "
                    f"windows of {NAME} ({combining.words(self.card.lattice)}); mask scenes by "
                    "pipeline.mask.mask_cube"
                )
        return self.combine([self._scores(each, windows) for each in self.members])

    def combine(self, scores: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Combine the members' scores of the same pixels; see `pipeline.mask.joint.Combination`.

        Returns
        -------
        (N, C, H, W) float32 shares of the card's classes.
        """
        shares = [
            weight * self._shares(member.card, each)
            for weight, member, each in zip(self._weights, self.members, scores, strict=True)
        ]
        if self._rule == "confirmed":
            total = self._confirmed(shares[0], shares[1:])
        else:
            total = functools.reduce(np.add, shares)
        if self._rule == "union":
            total = self._worst(total)
        return self._finished(combining.in_groups(self._codes, total))

    def _scores(self, member: Model, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        bands = [self.card.roles.index(role) for role in member.card.roles]
        return member.predict(np.ascontiguousarray(windows[:, bands]))

    def _shares(self, card: ModelCard, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        shares = combining.by_code(
            self._codes, card.classes, combining.probabilities(card, scores)
        )
        if self._rule in ("mean", "confirmed"):
            return shares
        return combining.one_hot(combining.in_groups(self._codes, shares))

    def _confirmed(
        self, first: NDArray[np.float32], others: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Return the first member's shares, and those of the others where it is blind or alone with a shadow."""
        if not others:
            return first
        rest = functools.reduce(np.add, others)
        any_worse = functools.reduce(np.logical_or, map(self._is_worse, others))
        alone = self._is_shadow(first) & ~any_worse & (combining.total(rest) > 0)
        return np.where(alone | (combining.total(first) == 0), rest, first)

    def _is_shadow(self, shares: NDArray[np.float32]) -> NDArray[np.bool_]:
        return self._decided(shares, GROUPS[1])

    def _is_worse(self, shares: NDArray[np.float32]) -> NDArray[np.bool_]:
        return self._decided(shares, GROUPS[0] + GROUPS[1])

    def _decided(self, shares: NDArray[np.float32], codes: Sequence[Code]) -> NDArray[np.bool_]:
        """Return where one of some codes is the answer, (N, 1, H, W); nowhere without data."""
        found = combining.one_hot(combining.in_groups(self._codes, shares))
        indices = [index for index, code in enumerate(self._codes) if code in codes]
        given = found[:, indices].max(axis=1, keepdims=True, initial=0) > 0
        answered: NDArray[np.bool_] = np.logical_and(given, combining.total(shares) > 0)
        return answered

    def _worst(self, votes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Keep the votes for the worst group that has any."""
        kept = np.zeros_like(votes)
        open_ = np.ones((len(votes), 1, *votes.shape[2:]), bool)
        for group in GROUPS:
            indices = [index for index, code in enumerate(self._codes) if code in group]
            if indices:
                named = votes[:, indices].any(axis=1, keepdims=True)
                kept[:, indices] = np.where(open_ & named, votes[:, indices], 0)
                open_ &= ~named
        return kept

    def _finished(self, shares: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return shares of all codes of the card that add up to one."""
        total = combining.total(shares)
        no_answer = total == 0
        scores = (shares / np.where(no_answer, np.float32(1), total)).astype(np.float32)
        if Code.NO_DATA in self.card.classes:
            scores = np.concatenate([scores, no_answer.astype(np.float32)], axis=1)
        return scores


class Ensemble:
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
        """Find the members for some items and what they have in common; see `pipeline.models.resolve`.

        Raises
        ------
        ModelError
            An option is wrong, a member is unknown or does not fit the items, or the members have no
            resolution in common.
        """
        option.refuse_unknown(NAME, options, ("members", "rule", "weights", *FOR_ALL))
        rule = option.one_of(*RULES)(f"option rule of {NAME}", options.get("rule", RULES[0]))
        for_all = {name: options[name] for name in FOR_ALL if name in options}
        members = _members(options.get("members", list(MEMBERS)), level, roles, for_all)
        usual = [1.0] * len(members) if "members" in options else list(MEMBERS.values())
        given = options.get("weights")
        weights = usual if given is None else _weights(given, len(members))
        return _card(
            combining.placed(members),
            level,
            {"rule": rule, "weights": combining.to_json(weights)},
        )

    def load(self, card: ModelCard) -> Model:
        """Load every member; see `pipeline.models.load`."""
        return EnsembleModel(card, [each.load() for each in self.inside(card)])

    def inside(self, card: ModelCard) -> list[Member]:
        """Find the members of a card again, here or in another process."""
        members = _members(card.options["members"], card.levels[0], card.roles)
        return combining.placed(members)

    def bytes_needed(self, card: ModelCard, *, windows: int) -> int:
        """State the memory of all members and of their scores; see `pipeline.models.bytes_needed`."""
        members = self.inside(card)
        # Scores are joined in blocks no larger than a core.
        pixels = windows * card.lattice.core_px**2
        n_classes = sum(len(each.card.classes) for each in members)
        own = pixels * 4 * (n_classes + 5 * len(card.classes))
        return own + sum(each.bytes_needed(windows) for each in members)


def _members(
    words: object,
    level: str,
    roles: Collection[str],
    for_all: Mapping[str, Any] = MappingProxyType({}),
) -> list[Member]:
    given = combining.from_json(f"option members of {NAME}", words)
    if not isinstance(given, list | tuple) or not given:
        raise ModelError(
            f"option members of {NAME} is a list such as [ukis-csmask, {{model: scl}}]; got {words!r}"
        )
    return [combining.member(NAME, each, for_all, level=level, roles=roles) for each in given]


def _weights(value: object, count: int) -> list[float]:
    given = combining.from_json(f"option weights of {NAME}", value)
    numbers = given if isinstance(given, list | tuple) else ()
    sound = [
        each
        for each in numbers
        if isinstance(each, int | float) and not isinstance(each, bool) and 0 < each < math.inf
    ]
    if len(sound) != count or len(numbers) != count:
        raise ModelError(
            f"option weights of {NAME} is one positive number for each of its {count} members; "
            f"got {value!r}"
        )
    return [float(each) for each in sound]


def _card(members: Sequence[Member], level: str, options: Mapping[str, str]) -> ModelCard:
    cards = [each.card for each in members]
    finest = max(card.resolution_m[0] for card in cards)
    coarsest = min(card.resolution_m[1] for card in cards)
    if finest > coarsest:
        ranges = ", ".join(f"{card.name}: {card.resolution_m}" for card in cards)
        raise ModelError(f"members of {NAME} have no resolution in common ({ranges} m)")
    return ModelCard(
        name=NAME,
        version=_version(cards, options),
        roles=tuple(dict.fromkeys(role for card in cards for role in card.roles)),
        levels=(level,),
        resolution_m=(finest, coarsest),
        normalisation="each member's own",
        lattice=combining.joint_lattice(members),
        classes=_classes(cards),
        scores="probabilities",
        weights="; ".join(f"{card.name}: {card.weights}" for card in cards),
        weights_sha256=hashlib.sha256(
            "\n".join(card.weights_sha256 for card in cards).encode()
        ).hexdigest(),
        licence=", ".join(dict.fromkeys(card.licence for card in cards)),
        source="; ".join(dict.fromkeys(card.source for card in cards)),
        accuracy="; ".join(f"{card.name}: {card.accuracy}" for card in cards),
        caveats="; ".join(f"{card.name}: {card.caveats}" for card in cards if card.caveats),
        best_m=max((card.best_m for card in cards if card.best_m), default=None),
        # A member with a smaller batch splits this one itself.
        batch=max(card.batch for card in cards),
        options={"members": combining.to_json([each.named() for each in members]), **options},
    )


def _version(cards: Sequence[ModelCard], options: Mapping[str, str]) -> str:
    """Return what decides the pixels and stands nowhere else on the card; it enters the fingerprint."""
    shares = combining.from_json("weights", options["weights"])
    members = (
        f"{share:g} x {card.name} {card.version} ({combining.words(card.lattice)})"
        for share, card in zip(shares, cards, strict=True)
    )
    return f"2: {' + '.join(members)}"


def _classes(cards: Sequence[ModelCard]) -> tuple[Code, ...]:
    known = {code for card in cards for code in card.classes}
    order = (*(code for group in GROUPS for code in group), Code.NO_DATA)
    return tuple(code for code in order if code in known)
