"""Checks the items and options given to a model, and fills in defaults; on the card every option is text."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from pipeline.errors import ModelError
from pipeline.models.families import machine
from pipeline.types import ModelCard

Check = Callable[[str, Any], str]
"""Takes the option's name for messages and its value; returns the text for the card."""

DEVICE = ("cpu", "cuda", "auto")
PRECISION = ("float32", "bfloat16", "float16", "auto")


def require_fit(
    name: str,
    needed: Sequence[str],
    roles: Collection[str],
    *,
    level: str,
    levels: Collection[str],
) -> None:
    """Refuse items that a model does not fit.

    Parameters
    ----------
    name
        The model.
    needed
        Roles that it needs.
    roles, level
        Roles that the items offer, and their processing level.
    levels
        Processing levels that it was made for.

    Raises
    ------
    ModelError
        The items are of another level, or lack a role.
    """
    if level not in levels:
        raise ModelError(f"{name} is for {' or '.join(levels)} items; these are {level!r}")
    missing = [role for role in needed if role not in roles]
    if missing:
        raise ModelError(
            f"{name} needs {', '.join(needed)}; the items lack {', '.join(missing)}"
        )


def refuse_unknown(model: str, given: Collection[str], known: Collection[str]) -> None:
    """Refuse options that a model does not have.

    Raises
    ------
    ModelError
        There is one; the message lists those that the model has.
    """
    for option in given:
        if option not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise ModelError(f"{model} has no option {option!r}; {has}")


def resolve(
    model: str, given: Mapping[str, Any], known: Mapping[str, tuple[object, Check]]
) -> dict[str, str]:
    """Check the given options of a model and fill in the rest.

    Parameters
    ----------
    model
        Its name, for messages.
    given
        Values by option, as a job file has them.
    known
        For every option its default, and the function that checks a value.

    Raises
    ------
    ModelError
        An option or a value is not known; the message lists those that are.
    """
    refuse_unknown(model, given, known)
    return {
        option: check(f"option {option} of {model}", given.get(option, default))
        for option, (default, check) in known.items()
    }


def one_of(*allowed: str) -> Check:
    """Return a check that accepts the given words only."""

    def check(where: str, value: object) -> str:
        if value not in allowed:
            raise ModelError(f"{where} is one of {', '.join(allowed)}; got {value!r}")
        return str(value)

    return check


def whole(low: int, high: int, *, multiple_of: int = 1) -> Check:
    """Return a check that accepts whole numbers from low to high, both included."""

    def check(where: str, value: Any) -> str:  # noqa: ANN401 - whatever a job file holds
        number = _number(value)
        if not (low <= number <= high and number % multiple_of == 0):
            steps = f" in steps of {multiple_of}" if multiple_of > 1 else ""
            raise ModelError(
                f"{where} is a whole number from {low} to {high}{steps}; got {value!r}"
            )
        return str(int(number))

    return check


def between(low: float, high: float) -> Check:
    """Return a check that accepts numbers strictly between low and high."""

    def check(where: str, value: Any) -> str:  # noqa: ANN401 - whatever a job file holds
        number = _number(value)
        if not low < number < high:
            raise ModelError(f"{where} is a number between {low:g} and {high:g}; got {value!r}")
        return repr(number)

    return check


def path(where: str, value: object) -> str:
    """Check that a value is a path as text; it may be empty."""
    if not isinstance(value, str):
        raise ModelError(f"{where} is a path; got {value!r}")
    return value


OF_NETWORKS: Mapping[str, tuple[object, Check]] = {
    "precision": ("float32", one_of(*PRECISION)),
    "device": ("cpu", one_of(*DEVICE)),
}
"""Options of every network."""


def on_this_machine(chosen: dict[str, str]) -> dict[str, str]:
    """Resolve ``auto`` of the options ``device`` and ``precision`` for this machine.

    Raises
    ------
    ModelError
        ``float16`` is asked for on a CPU.
    """
    device, precision = chosen["device"], chosen["precision"]
    if device == "auto":
        device = "cuda" if machine.has_cuda() else "cpu"
    if precision == "auto":
        precision = _fast_precision(device)
    if precision == "float16" and device == "cpu":
        raise ModelError(
            "option precision 'float16' is for GPUs; on a CPU it is one of float32, bfloat16, auto"
        )
    return {**chosen, "device": device, "precision": precision}


def _fast_precision(device: str) -> str:
    """Return the shortest float type that a device multiplies natively; bfloat16, with the larger range, first."""
    if device == "cpu":
        return "bfloat16" if machine.has_fast_bfloat16() else "float32"
    # NVIDIA: tensor cores for float16 since Volta (7.0), for bfloat16 since Ampere (8.0).
    major = machine.compute_capability()[0]
    return "bfloat16" if major >= 8 else "float16" if major == 7 else "float32"


def counted_as(card: ModelCard) -> str:
    """Return the precision by which the memory of a card's network was measured: on CPUs, without float16."""
    precision = card.options["precision"]
    return "bfloat16" if precision == "float16" else precision


def _number(value: Any) -> float:  # noqa: ANN401 - whatever a job file holds
    # True is a number to Python; the values of a card are text.
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except ValueError:
        return math.nan
