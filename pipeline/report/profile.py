"""Where the time of a run went, from what its record counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Plain = Mapping[str, Any]
Number = float | None

COUNTS = (
    "seconds",
    "cpu_seconds",
    "model_cpu_seconds",
    "decoding_cpu_seconds",
    "model_seconds",
    "reading_seconds",
    "device_seconds",
    "bytes_fetched",
    "requests",
    "blocks_decoded",
    "blocks_again",
    "blocks_from_disk",
)
"""Fields of `pipeline.types.Cost`, in the order of a profile's columns."""


def stages(record: Plain) -> dict[str, dict[str, Number]]:
    """Return the counts of each stage and of all (``together``); None for what was not counted."""
    found: dict[str, dict[str, Number]] = {
        name: {each: cost.get(each) for each in COUNTS}
        for name, cost in record["stages"].items()
    }
    found["together"] = {each: _sum([cost[each] for cost in found.values()]) for each in COUNTS}
    return found


def ratios(record: Plain) -> dict[str, Number]:
    """Return how far a run is from what cannot be avoided; 1 is best, None where something was not counted.

    ``cpu``
        CPU seconds of the run / those of its models and of decoding.
    ``wall``
        Seconds of the stages that touch pixels / those of their slowest part: models, or reading. Below 1 where several tiles
        ran at once, whose seconds add up.
    ``blocks``
        Blocks decoded / distinct blocks decoded, in each process.
    """
    whole = stages(record)
    total, touched = (
        whole["together"],
        [whole[name] for name in ("mask", "composite") if name in whole],
    )
    slowest = _most(
        _sum([each["model_seconds"] for each in touched]),
        _sum([each["reading_seconds"] for each in touched]),
    )
    needed = _sum([total["model_cpu_seconds"], total["decoding_cpu_seconds"]])
    again = total["blocks_again"]
    distinct = _sum([total["blocks_decoded"], None if again is None else -again])
    return {
        "cpu": _share(total["cpu_seconds"], needed),
        "wall": _share(_sum([each["seconds"] for each in touched]), slowest),
        "blocks": _share(total["blocks_decoded"], distinct),
    }


def _sum(numbers: list[Number]) -> Number:
    known = [each for each in numbers if each is not None]
    return sum(known) if len(known) == len(numbers) else None


def _most(*numbers: Number) -> Number:
    known = [each for each in numbers if each is not None]
    return max(known) if len(known) == len(numbers) else None


def _share(number: Number, of: Number) -> Number:
    return None if number is None or not of else number / of
