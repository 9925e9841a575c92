"""What a server tells of its requests: a line each in the log, and numbers for Prometheus by OpenTelemetry."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec

from fastapi import FastAPI, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.serve.archives import Archives
from pipeline.serve.problems import problem

log = logging.getLogger("cloudmask.access")

EXPORTER = "opentelemetry.exporter.prometheus"
BOUNDS_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Of the buckets of durations."""
METHODS = ("GET", "HEAD", "POST", "OPTIONS")


class Numbers:
    """Durations of requests by route and status, and what the cache has."""

    def __init__(self, archives: Archives) -> None:
        metrics = import_module("opentelemetry.metrics")
        sdk = import_module("opentelemetry.sdk.metrics")
        views = import_module("opentelemetry.sdk.metrics.view")
        client = import_module("prometheus_client")
        self._client, self._registry = client, client.CollectorRegistry()
        # The exporter registers itself with the registry of the process: this one is ours alone.
        reader = import_module(EXPORTER).PrometheusMetricReader(disable_target_info=True)
        client.REGISTRY.unregister(reader._collector)
        self._registry.register(reader._collector)
        buckets = views.ExplicitBucketHistogramAggregation(BOUNDS_S)
        view = views.View(instrument_name="http.server.request.duration", aggregation=buckets)
        self._provider = sdk.MeterProvider([reader], views=[view], shutdown_on_exit=False)
        meter = self._provider.get_meter("cloudmask")
        self._durations = meter.create_histogram(
            "http.server.request.duration",
            "s",
            "Time of requests, from their head to the last byte.",
        )

        def hits(_: object) -> Iterable[object]:
            found, missed = archives.cache.asked
            yield metrics.Observation(found, {"hit": "true"})
            yield metrics.Observation(missed, {"hit": "false"})

        def kept(_: object) -> Iterable[object]:
            yield metrics.Observation(archives.cache.bytes)

        meter.create_observable_counter(
            "cloudmask.cache.requests",
            [hits],
            description="Chunks asked for, in memory or not.",
        )
        meter.create_observable_gauge(
            "cloudmask.cache.size", [kept], unit="By", description="Chunks in memory."
        )

    def took(self, seconds: float, method: str, route: str, status: int) -> None:
        """Count a request."""
        known = method if method in METHODS else "_OTHER"
        labels = {
            "http.request.method": known,
            "http.route": route,
            "http.response.status_code": status,
        }
        self._durations.record(seconds, labels)

    def text(self) -> Response:
        """Return all numbers as Prometheus reads them."""
        content = self._client.generate_latest(self._registry)
        return Response(content, media_type="text/plain; version=0.0.4")


class Watch:
    """Measures each request, and writes a line of JSON of it to the log."""

    def __init__(self, app: ASGIApp, numbers: Numbers | None) -> None:
        self._app = app
        self._numbers = numbers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status, size = time.monotonic(), 499, 0

        async def sent(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            self._tell(scope, time.monotonic() - begun, status, size)

    def _tell(self, scope: Scope, seconds: float, status: int, size: int) -> None:
        found = scope.get("route")
        # The path of the route, not of the request: there are as many of these as who asks likes.
        route = getattr(found, "path", None) or "other"
        if self._numbers is not None:
            self._numbers.took(seconds, scope["method"], route, status)
        line = {
            "method": scope["method"],
            "path": scope["path"],
            "route": route,
            "status": status,
            "ms": round(1000 * seconds, 1),
            "bytes": size,
            "client": (scope.get("client") or ["-"])[0],
        }
        log.info("%s", json.dumps(line))


def watch(app: FastAPI) -> None:
    """Measure the requests of an application, and offer the numbers at ``/metrics`` if the exporter is installed."""
    there = find_spec(EXPORTER) is not None
    numbers = Numbers(app.state.archives) if there else None

    def metrics() -> Response:
        if numbers is None:
            return problem(501, "install cloudmask[metrics] to have numbers here")
        return numbers.text()

    app.add_api_route(
        "/metrics", metrics, methods=["GET"], tags=["health"], include_in_schema=False
    )
    app.add_middleware(Watch, numbers=numbers)
