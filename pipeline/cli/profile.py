"""``cloudmask runs --profile``: where the time of a run went."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.cli import show

COLUMNS: Mapping[str, tuple[str, Callable[[float | None], str]]] = {
    "took": ("seconds", show.seconds),
    "reading": ("reading_seconds", show.seconds),
    "models": ("model_seconds", show.seconds),
    "GPU": ("device_seconds", show.seconds),
    "CPU": ("cpu_seconds", show.seconds),
    "CPU models": ("model_cpu_seconds", show.seconds),
    "CPU decoding": ("decoding_cpu_seconds", show.seconds),
    "downloaded": ("bytes_fetched", show.size),
    "requests": ("requests", show.count),
    "blocks": ("blocks_decoded", show.count),
    "again": ("blocks_again", show.count),
    "from disk": ("blocks_from_disk", show.count),
}
"""Heading -> field of `pipeline.types.Cost`, and how it is shown."""

RATIOS = {
    "cpu": "CPU / (models + decoding)",
    "wall": "took / slowest part (models, reading)",
    "blocks": "blocks decoded / distinct ones",
}


def show_profile(record: Mapping[str, Any], *, as_json: bool) -> None:
    """Print seconds, bytes and blocks of each stage of a run, and what it took over what cannot be avoided."""
    from pipeline.report.profile import ratios, stages

    counted, found = stages(record), ratios(record)
    if as_json:
        show.as_json({"run": record["run_id"], "stages": counted, "ratios": found})
        return
    show.table(
        [
            {"stage": name}
            | {heading: how(cost[field]) for heading, (field, how) in COLUMNS.items()}
            for name, cost in counted.items()
        ],
        title=f"run {record['run_id']}",
    )
    show.table(
        [
            {"ratio": words, "": "–" if found[name] is None else f"{found[name]:.2f}"}
            for name, words in RATIOS.items()
        ]
    )
