"""What models that are made of other models share: members, their lattices, probabilities by code."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.models.families.provider import provider
from pipeline.types import Code, Lattice, Model, ModelCard

Array = NDArray[np.float32]

GROUPS: tuple[tuple[Code, ...], ...] = (
    (Code.THICK_CLOUD, Code.THIN_CLOUD),
    (Code.CLOUD_SHADOW,),
    (Code.SNOW, Code.WATER, Code.CLEAR),
)
"""Codes that answer one question, worst first. Models that tell more classes apart than others must not
lose to them for it: .3 thick and .3 thin cloud are more than .4 clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A model inside another one."""

    card: ModelCard
    alignment_px: int | None
    """Windows may begin on any multiple of this, and have any larger halo, without a change of scores;
    none: the model sees its whole window."""

    def named(self) -> dict[str, Any]:
        """Return the entry of the combined card for this member, enough to resolve it again."""
        return {"model": self.card.name, "options": dict(self.card.options)}

    def on(self, lattice: Lattice) -> Member:
        """Return the member with windows of another lattice."""
        return replace(self, card=replace(self.card, lattice=lattice))

    def load(self) -> Model:
        """Load it; once per whole that it is a part of."""
        model: Model = provider(self.card.name).load(self.card)
        return model

    def lattices(self) -> set[Lattice]:
        """Return the lattices of all models inside it, or its own if it is one model."""
        inside = getattr(provider(self.card.name), "inside", None)
        if inside is None:
            return {self.card.lattice}
        return {lattice for each in inside(self.card) for lattice in each.lattices()}

    def bytes_needed(self, windows: int) -> int:
        """State the memory that it takes; see `pipeline.models.bytes_needed`."""
        return int(provider(self.card.name).bytes_needed(self.card, windows=windows))


def member(whole: str, words: object, *, level: str, roles: Collection[str]) -> Member:
    """Find a member by the words of a job file or a card.

    Parameters
    ----------
    whole
        Name of the model that it is a part of, for messages.
    words
        ``ukis-csmask``, or ``{"model": "ukis-csmask", "options": {...}}``.
    level, roles
        As of `pipeline.models.resolve`.

    Raises
    ------
    ModelError
        The words say no such thing, or the model does not fit the items.
    """
    given = {"model": words} if isinstance(words, str) else words
    sound = (
        isinstance(given, Mapping)
        and isinstance(given.get("model"), str)
        and isinstance(given.get("options", {}), Mapping)
        and set(given) <= {"model", "options"}
    )
    if not sound or not isinstance(given, Mapping):
        raise ModelError(
            f"a member of {whole} is a name or {{model: NAME, options: {{…}}}}; got {words!r}"
        )
    found = provider(given["model"])
    card = found.resolve(
        given["model"], level=level, roles=roles, options=given.get("options", {})
    )
    # Only providers of models that see a few pixels have it.
    alignment = getattr(found, "alignment_px", None)
    return Member(card=card, alignment_px=alignment(card) if alignment else None)


def from_json(where: str, value: object) -> Any:  # noqa: ANN401 - whatever was written
    """Return a value as it is, or parsed if it is the JSON text of a card."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise ModelError(f"{where} is no JSON: {error}; got {value!r}") from error


def to_json(value: object) -> str:
    """Return the canonical JSON of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


# -- lattices ----------------------------------------------------------------------------------


def placed(members: Sequence[Member]) -> list[Member]:
    """Return members on one lattice, if there is one for all of them, and each on its own otherwise."""
    lattice = common_lattice(members)
    return [each if lattice is None else each.on(lattice) for each in members]


def joint_lattice(members: Sequence[Member]) -> Lattice:
    """Return what has to be read for placed members: their own lattice, or one round all of theirs."""
    lattices = list(dict.fromkeys(each.card.lattice for each in members))
    return lattices[0] if len(lattices) == 1 else enclosing_lattice(lattices)


def common_lattice(members: Sequence[Member]) -> Lattice | None:
    """Return the lattice on which all members give what they give alone; none if there is none.

    Members that see their whole windows decide: theirs must be one and the same. The others go along if
    every pixel that counts has their halo round it and windows begin where they may.
    """
    fixed = [each for each in members if each.alignment_px is None]
    first = max(fixed or members, key=lambda each: each.card.lattice.halo_px)
    lattice = first.card.lattice
    fits = all(
        each.card.lattice == lattice if each.alignment_px is None else _carries(lattice, each)
        for each in members
    )
    return lattice if fits else None


def _carries(lattice: Lattice, guest: Member) -> bool:
    step = guest.alignment_px or 1
    starts = (lattice.core_px, lattice.halo_px, lattice.shift_px)
    # Where windows are blended, pixels beyond the core count too.
    room = lattice.halo_px - lattice.reach_px
    return room >= guest.card.lattice.halo_px and all(px % step == 0 for px in starts)


def enclosing_lattice(lattices: Sequence[Lattice]) -> Lattice:
    """Return a lattice that reads, for any rectangle, all that each of several lattices reads.

    It has the largest of their cores, starting at the CRS origin as tiles do, so that most tiles read
    no more than their greediest member.
    """
    core = max(each.core_px for each in lattices)
    return Lattice(core_px=core, halo_px=max(_overhang(core, each) for each in lattices))


def _overhang(core: int, lattice: Lattice) -> int:
    """Return how far windows of a lattice stand out of cores of `core` px from the origin, at most."""
    theirs, reach, shift = lattice.core_px, lattice.reach_px, lattice.shift_px
    # Edges at multiples of `core` fall on every multiple of this inside their cores.
    step = math.gcd(core, theirs)
    before = theirs - step + (-reach - shift) % step
    after = theirs - 1 - (reach - shift - 1) % step
    return max(before, after) + reach + lattice.halo_px


def words(lattice: Lattice) -> str:
    """Describe a lattice."""
    return (
        f"core {lattice.core_px}, halo {lattice.halo_px}, blend {lattice.blend_px}, "
        f"shift {lattice.shift_px} px"
    )


# -- scores ------------------------------------------------------------------------------------


# A sum over classes is taken in their order, term by term: numpy's own takes another order where an
# array happens to be a single pixel wide, and a mask must not depend on how it was cut.


def total(parts: Array) -> Array:
    """Add up (N, K, …) over K, which is kept with size 1."""
    summed: Array = functools.reduce(np.add, np.moveaxis(parts, 1, 0))
    return summed[:, np.newaxis]


def probabilities(card: ModelCard, scores: Array) -> Array:
    """Return scores (N, K, H, W) of a model as shares that add up to one."""
    if card.scores == "probabilities":
        return scores
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Array = raised / total(raised)
    return shares


def by_code(codes: Sequence[Code], classes: Sequence[Code], shares: Array) -> Array:
    """Add up shares (N, K, H, W) of classes into (N, C, H, W) of codes; no data has no share."""
    summed = np.zeros((shares.shape[0], len(codes), *shares.shape[2:]), np.float32)
    for index, code in enumerate(classes):
        if code != Code.NO_DATA:
            summed[:, codes.index(code)] += shares[:, index]
    return summed


def in_groups(codes: Sequence[Code], shares: Array) -> Array:
    """Give the whole share of each of `GROUPS` to its likeliest code.

    Parameters
    ----------
    codes
        The C codes, in the order of `GROUPS`: of equals the first wins.
    shares
        (N, C, H, W).

    Returns
    -------
    The same shape and the same sum over codes; the largest of it is the likeliest code of the
    likeliest group.
    """
    given = np.zeros_like(shares)
    for group in GROUPS:
        indices = [index for index, code in enumerate(codes) if code in group]
        if indices:
            part = shares[:, indices]
            best = np.eye(len(indices), dtype=np.float32)[part.argmax(axis=1)]
            given[:, indices] = np.moveaxis(best, -1, 1) * total(part)
    return given


def one_hot(shares: Array) -> Array:
    """Return one for the largest share of every pixel, the first of equals; zero if there is none."""
    chosen = np.moveaxis(
        np.eye(shares.shape[1], dtype=np.float32)[shares.argmax(axis=1)], -1, 1
    )
    return np.where(shares.any(axis=1, keepdims=True), chosen, np.float32(0))
