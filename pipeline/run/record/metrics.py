"""A run's numbers as OpenTelemetry metrics, for monitoring many runs.

They go to the meter provider of the process, if it has one: the user sets it up with an SDK and its
own ``OTEL_*`` variables. Where the setting ``metrics_folder`` names a folder, a second provider with
OpenTelemetry's Prometheus exporter gets the same and leaves a file there for node_exporter, since
nobody can scrape a program that has ended. ``docs/record.md`` lists the names. A failure of either is
logged and costs no run.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.config import read_settings
from pipeline.errors import ConfigError
from pipeline.types import Cost, Record
from pipeline.types.record import Outcome

log = logging.getLogger(__name__)

SCOPE = "cloudmask"
SUCCESS = "last_success.timestamp"

GAUGES: Mapping[str, tuple[str, str]] = {
    "last_run.timestamp": ("s", "When the run ended."),
    "last_run.failed": ("", "1 if nothing could be published."),
    SUCCESS: ("s", "When a run last came to its end without failing."),
    "last_run.duration": ("s", "Wall time of the run."),
    "last_run.cells_expected": ("{cell}", "Cells (scene × tile) that should be there."),
    "last_run.cells_complete": ("{cell}", "Cells that have every item."),
    "last_run.cells_done": ("{cell}", "Cells that the run did, by how they ended."),
    "last_run.items_dropped": ("{item}", "Items dropped, wholly or in places."),
    "last_run.area": ("km2", "Ground of the tiles worked on."),
    "last_run.scene_area": ("km2", "Sum over the scenes masked of their ground."),
    "last_run.cpu": ("s", "CPU time."),
    "last_run.device": ("s", "Time of models on a GPU."),
    "last_run.read_windows": ("{window}", "Windows read from source rasters."),
    "last_run.read_pixels": ("By", "Decoded bytes of source pixels."),
    "last_run.read_network": ("By", "Bytes downloaded for rasters."),
    "last_run.requests": ("{request}", "HTTP requests to catalogues and for rasters."),
    "last_run.stored": ("By", "Chunks of the store."),
    "last_run.cost": ("", "Cost in money, by the price table."),
}
"""Name without ``cloudmask.`` -> unit (UCUM), description."""


@dataclass(frozen=True, slots=True)
class Number:
    """One number of a run."""

    name: str
    """Of `GAUGES`."""
    value: float
    attributes: Mapping[str, str]


def require_exporter() -> None:
    """Check that the metrics that the settings ask for can be written; call it before a run.

    Raises
    ------
    ConfigError
        The package that writes the file is missing, or the folder.
    """
    folder = read_settings().metrics_folder
    if folder is None:
        return
    if _package("opentelemetry.exporter.prometheus") is None:
        raise ConfigError(
            "CLOUDMASK_METRICS_FOLDER needs the package opentelemetry-exporter-prometheus, which is not "
            "installed: install cloudmask[metrics], or take the setting away"
        )
    if not folder.is_dir():
        raise ConfigError(
            f"CLOUDMASK_METRICS_FOLDER: found {str(folder)!r}, expected a folder that is there: the "
            "one that node_exporter's --collector.textfile.directory names"
        )


def emit(record: Record) -> None:
    """Emit a run's numbers, whether it published, failed or changed nothing."""
    _emit(record.job, record.outcome, record.finished, list(numbers(record)))


def emit_unchanged(job: str) -> None:
    """Emit that a job's plan had nothing to do, so that no session was opened for it."""
    _emit(job, "unchanged", datetime.now(UTC), [])


def numbers(record: Record) -> Iterable[Number]:
    """Yield the numbers of a run."""
    yield _number("duration", (record.finished - record.started).total_seconds())
    yield _number("cells_expected", record.expected)
    yield _number("cells_complete", record.complete)
    states = [cell.status for tile in record.tiles for cell in tile.cells]
    for status in ("masked", "unreadable"):
        yield _number("cells_done", states.count(status), status=status)
    yield _number("items_dropped", len({each.item_id for each in record.dropped}))
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
        "cpu": cost.cpu_seconds,
        "device": cost.device_seconds,
        "read_windows": cost.reads,
        "read_pixels": cost.bytes_read,
        "read_network": cost.bytes_fetched,
        "requests": cost.requests,
    }
    for name, value in quantities.items():
        # Leave out what could not be counted: it is not zero.
        if value is not None:
            yield _number(name, value, stage=stage)


def _number(name: str, value: float, **attributes: str) -> Number:
    return Number(f"last_run.{name}", value, attributes)


def _emit(job: str, outcome: Outcome, finished: datetime, found: list[Number]) -> None:
    now, failed = finished.timestamp(), outcome == "failed"
    found = [_number("timestamp", now), _number("failed", failed), *found]
    if not failed:
        found.append(Number(SUCCESS, now, {}))
    if (package := _package("opentelemetry.metrics")) is not None:
        _to(package.get_meter(SCOPE), job, outcome, found)
    folder = read_settings().metrics_folder
    if folder is None:
        return
    path = folder / f"cloudmask_{re.sub('[^A-Za-z0-9_-]', '_', job)}.prom"
    try:
        if failed and (good := _last_success(path)) is not None:
            found.append(Number(SUCCESS, good, {}))
        with _textfile(path) as meter:
            _to(meter, job, outcome, found)
    except OSError as error:
        log.warning("the numbers of the run cannot be written to %s: %s", folder, error)


def _to(meter: Any, job: str, outcome: Outcome, found: Iterable[Number]) -> None:  # noqa: ANN401
    runs = meter.create_counter(f"{SCOPE}.runs", description="Runs, by their end.")
    runs.add(1, {"job": job, "outcome": outcome})
    for each in found:
        unit, description = GAUGES[each.name]
        gauge = meter.create_gauge(f"{SCOPE}.{each.name}", unit=unit, description=description)
        gauge.set(each.value, {"job": job, **each.attributes})


@contextmanager
def _textfile(path: Path) -> Iterator[Any]:
    """Yield a meter whose numbers become a file in Prometheus' text format, in place of the one there."""
    prometheus = import_module("prometheus_client")
    sdk = import_module("opentelemetry.sdk.metrics")
    registry = prometheus.CollectorRegistry()
    reader = import_module("opentelemetry.exporter.prometheus").PrometheusMetricReader(
        disable_target_info=True, scope_info_enabled=False, registry=registry
    )
    provider = sdk.MeterProvider([reader], shutdown_on_exit=False)
    try:
        yield provider.get_meter(SCOPE)
        prometheus.write_to_textfile(str(path), registry)
    finally:
        provider.shutdown()


def _last_success(path: Path) -> float | None:
    """Return when the file of the run before says that a run last succeeded."""
    name = f"{SCOPE}_{SUCCESS.replace('.', '_')}_seconds"
    parser = _package("prometheus_client.parser")
    try:
        families = list(parser.text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        # None yet, or of somebody else: then nothing is known of earlier runs.
        return None
    samples = [each for family in families for each in family.samples if each.name == name]
    return float(samples[0].value) if samples else None


def _package(name: str) -> Any:  # noqa: ANN401  (a module, none where it is not installed)
    try:
        return import_module(name)
    except ImportError:
        return None
