"""Shared by models made of other models: members, their lattices, probabilities by code."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
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
"""Codes whose shares are added before a pixel is decided, worst group first: a model with finer classes must not
lose for it, since .3 thick and .3 thin cloud are more than .4 clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A model inside another one."""

    card: ModelCard
    alignment_px: int | None
    """Moving windows by a multiple of this, or widening their halo, leaves the scores unchanged. None: scores
    depend on the whole window."""
    step_px: int | None = None
    """Windows of any lattice that starts them on multiples of this will do: it looks at a bounded neighbourhood, and what a
    halo cuts off changes few pixels. None: its own windows alone."""

    def named(self) -> dict[str, Any]:
        """Return the entry of the combined card for this member, enough to resolve it again."""
        return {"model": self.card.name, "options": dict(self.card.options)}

    def on(self, lattice: Lattice) -> Member:
        """Return the member with windows of another lattice."""
        return replace(self, card=replace(self.card, lattice=lattice))

    def load(self) -> Model:
        """Load the model, once for each combined model that has it as a member."""
        model: Model = provider(self.card.name).load(self.card)
        return model

    def lattices(self) -> set[Lattice]:
        """Return the lattices of all its members, or its own if it has none."""
        inside = getattr(provider(self.card.name), "inside", None)
        if inside is None:
            return {self.card.lattice}
        return {lattice for each in inside(self.card) for lattice in each.lattices()}

    def bytes_needed(self, windows: int) -> int:
        """State the memory that it takes; see `pipeline.models.bytes_needed`."""
        return int(provider(self.card.name).bytes_needed(self.card, windows=windows))


def member(
    whole: str,
    words: object,
    for_all: Mapping[str, Any] = MappingProxyType({}),
    *,
    level: str,
    roles: Collection[str],
) -> Member:
    """Resolve a member from its entry in a job file or on a card.

    Parameters
    ----------
    whole
        Name of the combined model, for messages.
    words
        ``ukis-csmask``, or ``{"model": "ukis-csmask", "options": {...}}``.
    for_all
        Options that it is given beside its own, which win.
    level, roles
        As of `pipeline.models.resolve`.

    Raises
    ------
    ModelError
        The entry has another form, or the model does not fit the items.
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
    options = {**for_all, **given.get("options", {})}
    card = found.resolve(given["model"], level=level, roles=roles, options=options)
    # Only models with a bounded receptive field have an alignment.
    alignment, step = (getattr(found, name, None) for name in ("alignment_px", "step_px"))
    return Member(
        card=card,
        alignment_px=alignment(card) if alignment else None,
        step_px=step(card) if step else None,
    )


def from_json(where: str, value: object) -> Any:  # noqa: ANN401 - whatever was written
    """Parse a value that is the JSON text of a card; return any other unchanged."""
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
    """Put members on their common lattice if there is one; otherwise leave each on its own."""
    lattice = common_lattice(members)
    return [each if lattice is None else each.on(lattice) for each in members]


def joint_lattice(members: Sequence[Member]) -> Lattice:
    """Return the lattice to read for members after `placed`: their common one, or one that encloses all."""
    lattices = list(dict.fromkeys(each.card.lattice for each in members))
    return lattices[0] if len(lattices) == 1 else enclosing_lattice(lattices)


def common_lattice(members: Sequence[Member]) -> Lattice | None:
    """Return a lattice on which every member scores as it does alone, or nearly (`Member.step_px`); None if there is none.

    Members whose scores depend on the whole window must all have that lattice. Another member fits if each pixel
    of a window's support has the member's halo round it, and windows start on the member's alignment.
    """
    leading = [each for each in members if each.step_px is None]
    if 0 < len(leading) < len(members):
        lattice = common_lattice(leading)
        guests = [each.step_px for each in members if each.step_px is not None]
        goes = lattice is not None and all(_starts_on(lattice, step) for step in guests)
        return lattice if goes else None
    fixed = [each for each in members if each.alignment_px is None]
    first = max(fixed or members, key=lambda each: each.card.lattice.halo_px)
    lattice = first.card.lattice
    fits = all(
        each.card.lattice == lattice if each.alignment_px is None else _carries(lattice, each)
        for each in members
    )
    return lattice if fits else None


def _carries(lattice: Lattice, guest: Member) -> bool:
    # Where windows are blended, pixels beyond the core count too.
    room = lattice.halo_px - lattice.reach_px
    return room >= guest.card.lattice.halo_px and _starts_on(lattice, guest.alignment_px or 1)


def _starts_on(lattice: Lattice, step_px: int) -> bool:
    """Return whether windows start, and end, on multiples of a step."""
    starts = (lattice.core_px, lattice.halo_px, lattice.shift_px)
    return all(px % step_px == 0 for px in starts)


def enclosing_lattice(lattices: Sequence[Lattice]) -> Lattice:
    """Return a lattice that reads, for any rectangle, everything that each of several lattices reads.

    It has the largest of their cores and no shift: cores then start at the CRS origin, as tiles do, and most tiles
    read no more than the member that reads most.
    """
    core = max(each.core_px for each in lattices)
    return Lattice(core_px=core, halo_px=max(_overhang(core, each) for each in lattices))


def _overhang(core: int, lattice: Lattice) -> int:
    """Return by how much, at most, windows of a lattice overhang cores of `core` px that start at the origin."""
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


# Classes are summed in their order, term by term: numpy's sum takes another order for an array one pixel
# wide, and a mask must not depend on how the scene was divided.


def total(parts: Array) -> Array:
    """Sum (N, K, …) over K; the axis stays, with size 1."""
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
    """Give the total share of each group of `GROUPS` to the group's likeliest code.

    Parameters
    ----------
    codes
        The C codes, in the order of `GROUPS`; the first wins a tie.
    shares
        (N, C, H, W).

    Returns
    -------
    (N, C, H, W) with the same sum over codes, whose largest value is the likeliest code of the likeliest
    group.
    """
    given = np.zeros_like(shares)
    for group in GROUPS:
        indices = [index for index, code in enumerate(codes) if code in group]
        if not indices:
            continue
        # Plane by plane: sorting out a whole array of classes by pixel takes several times as long.
        likeliest, largest = (
            np.full_like(shares[:, 0], indices[0], np.uint8),
            shares[:, indices[0]],
        )
        for index in indices[1:]:
            np.copyto(likeliest, index, where=shares[:, index] > largest)
            largest = np.maximum(largest, shares[:, index])
        summed = functools.reduce(np.add, (shares[:, index] for index in indices))
        for index in indices:
            np.copyto(given[:, index], summed, where=likeliest == index)
    return given


def one_hot(shares: Array) -> Array:
    """Return 1 for each pixel's largest share (the first of equals) and 0 elsewhere; all 0 without shares."""
    chosen = np.moveaxis(
        np.eye(shares.shape[1], dtype=np.float32)[shares.argmax(axis=1)], -1, 1
    )
    return np.where(shares.any(axis=1, keepdims=True), chosen, np.float32(0))
