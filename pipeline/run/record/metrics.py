"""A run's numbers for whoever watches many: OpenTelemetry, and a file for Prometheus' node_exporter.

OpenTelemetry's interface is called where it is installed; without an SDK, which the user sets up by its
own ``OTEL_*`` variables, it does nothing. The file is written where the setting ``metrics_folder`` says.
The names stand in ``docs/record.md``. No trouble with either spoils a run that is done.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pipeline.config import read_settings
from pipeline.errors import ConfigError
from pipeline.types import Cost, Record
from pipeline.types.record import Outcome

log = logging.getLogger(__name__)

SCOPE = "cloudmask"
SUCCESS = "cloudmask_last_success_timestamp_seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One number of a run."""

    name: str
    """``cpu.time``: OpenTelemetry's name without ``cloudmask.``."""
    unit: str
    """UCUM, as OpenTelemetry wants it: ``s``, ``By``, ``{cell}``."""
    prometheus: str
    """Its gauge in the file, without ``cloudmask_last_run_``."""
    help: str
    value: float
    labels: Mapping[str, str]
    kind: Literal["counter", "gauge"] = "counter"


def check() -> None:
    """Look whether what the settings ask for can be done; call it before a run.

    Raises
    ------
    ConfigError
        The package that writes the file is missing, or the folder.
    """
    folder = read_settings().metrics_folder
    if folder is None:
        return
    if _package("prometheus_client") is None:
        raise ConfigError(
            "CLOUDMASK_METRICS_FOLDER needs the package prometheus-client, which is not installed: "
            "install cloudmask[metrics], or take the setting away"
        )
    if not folder.is_dir():
        raise ConfigError(
            f"CLOUDMASK_METRICS_FOLDER: found {str(folder)!r}, expected a folder that is there: the "
            "one that node_exporter's --collector.textfile.directory names"
        )


def tell(record: Record) -> None:
    """Tell a run's numbers, whether it published, failed or changed nothing."""
    _tell(record.job, record.outcome, record.finished, list(numbers(record)))


def tell_unchanged(job: str) -> None:
    """Tell of a job whose plan had nothing to do, and that no session was opened for."""
    _tell(job, "unchanged", datetime.now(UTC), [])


def numbers(record: Record) -> Iterable[Number]:
    """Yield the numbers of a run."""
    yield _number("run.duration", (record.finished - record.started).total_seconds())
    yield _number("cells.expected", record.expected)
    yield _number("cells.complete", record.complete)
    states = [cell.status for tile in record.tiles for cell in tile.cells]
    for status in ("masked", "unreadable"):
        yield _number("cells.done", states.count(status), status=status)
    yield _number("items.dropped", len({each.item_id for each in record.dropped}))
    yield _number("area", record.area_km2)
    yield _number("scene_area", record.scene_km2)
    for stage, cost in record.stages.items():
        yield from _of_stage(stage, cost)
    if record.bytes_stored is not None:
        yield _number("stored", record.bytes_stored)
    if record.bill is not None:
        yield _number("cost", record.bill.total, currency=record.bill.currency)


def _of_stage(stage: str, cost: Cost) -> Iterable[Number]:
    quantities = {
        "cpu.time": cost.cpu_seconds,
        "device.time": cost.device_seconds,
        "read.windows": cost.reads,
        "read.pixels": cost.bytes_read,
        "read.network": cost.bytes_fetched,
        "requests": cost.requests,
    }
    for name, value in quantities.items():
        # What could not be counted is not told as zero.
        if value is not None:
            yield _number(name, value, stage=stage)


_TABLE: Mapping[str, tuple[str, str, str]] = {
    "run.duration": ("s", "duration_seconds", "Wall time of the run."),
    "cells.expected": (
        "{cell}",
        "cells_expected",
        "Cells (scene × tile) that should be there.",
    ),
    "cells.complete": ("{cell}", "cells_complete", "Cells that have every item."),
    "cells.done": ("{cell}", "cells_done", "Cells that this run did, by how they ended."),
    "items.dropped": ("{item}", "items_dropped", "Items dropped, wholly or in places."),
    "area": ("km2", "area_km2", "Ground of the tiles worked on."),
    "scene_area": ("km2", "scene_area_km2", "Sum over the scenes masked of their ground."),
    "cpu.time": ("s", "cpu_seconds", "CPU time."),
    "device.time": ("s", "device_seconds", "Time of models on a GPU."),
    "read.windows": ("{window}", "read_windows", "Windows read from source rasters."),
    "read.pixels": ("By", "read_pixels_bytes", "Decoded bytes of source pixels."),
    "read.network": ("By", "read_network_bytes", "Bytes downloaded for rasters."),
    "requests": ("{request}", "requests", "HTTP requests to catalogues and for rasters."),
    "stored": ("By", "stored_bytes", "Chunks of the store."),
    "cost": ("1", "cost", "Cost in money, by the price table."),
}
"""Name -> unit, name of the gauge, help."""

_STATES = frozenset({"cells.expected", "cells.complete", "run.duration", "stored"})
"""What says how things stand, and does not add up over runs."""


def _number(name: str, value: float, **labels: str) -> Number:
    unit, prometheus, words = _TABLE[name]
    return Number(
        name=name,
        unit=unit,
        prometheus=prometheus,
        help=words,
        value=value,
        labels=labels,
        kind="gauge" if name in _STATES else "counter",
    )


def _tell(job: str, outcome: Outcome, finished: datetime, told: list[Number]) -> None:
    _to_opentelemetry(job, outcome, told)
    folder = read_settings().metrics_folder
    if folder is None:
        return
    try:
        _to_file(folder / _file_name(job), job, outcome, finished, told)
    except OSError as error:
        log.warning("the numbers of the run cannot be written to %s: %s", folder, error)


# -- OpenTelemetry -----------------------------------------------------------------------------


def _to_opentelemetry(job: str, outcome: Outcome, told: list[Number]) -> None:
    package = _package("opentelemetry.metrics")
    if package is None:
        return
    meter = package.get_meter(SCOPE)
    runs = meter.create_counter(
        f"{SCOPE}.runs", unit="{run}", description="Runs, by their end."
    )
    runs.add(1, {"job": job, "outcome": outcome})
    for each in told:
        name, attributes = f"{SCOPE}.{each.name}", {"job": job, **each.labels}
        if each.kind == "counter":
            counter = meter.create_counter(name, unit=each.unit, description=each.help)
            counter.add(each.value, attributes)
        else:
            gauge = meter.create_gauge(name, unit=each.unit, description=each.help)
            gauge.set(each.value, attributes)


# -- Prometheus --------------------------------------------------------------------------------


def _file_name(job: str) -> str:
    return f"cloudmask_{re.sub('[^A-Za-z0-9_-]', '_', job)}.prom"


def _to_file(
    path: Path, job: str, outcome: Outcome, finished: datetime, told: list[Number]
) -> None:
    """Write the file anew; a failed run leaves the time of the last good one as it was."""
    package = _package("prometheus_client")
    registry = package.CollectorRegistry()

    def gauge(name: str, words: str, value: float, labels: Mapping[str, str]) -> None:
        if name not in made:
            made[name] = package.Gauge(name, words, ["job", *labels], registry=registry)
        made[name].labels(job=job, **labels).set(value)

    made: dict[str, Any] = {}
    now = finished.timestamp()
    good = _last_success(path) if outcome == "failed" else now
    gauge("cloudmask_last_run_timestamp_seconds", "When the run ended.", now, {})
    if good is not None:
        gauge(SUCCESS, "When a run last came to its end without failing.", good, {})
    failed = float(outcome == "failed")
    gauge("cloudmask_last_run_failed", "1 if nothing could be published.", failed, {})
    for each in told:
        gauge(f"cloudmask_last_run_{each.prometheus}", each.help, each.value, each.labels)
    package.write_to_textfile(str(path), registry)


def _last_success(path: Path) -> float | None:
    parser = _package("prometheus_client.parser")
    try:
        families = list(parser.text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        # None yet, or of somebody else: then nothing is known of earlier runs.
        return None
    samples = [each for family in families for each in family.samples if each.name == SUCCESS]
    return float(samples[0].value) if samples else None


def _package(name: str) -> Any:  # noqa: ANN401  (a module, none where it is not installed)
    try:
        return import_module(name)
    except ImportError:
        return None
