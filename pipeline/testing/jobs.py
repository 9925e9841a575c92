"""A small job, any part of which a test can change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from shapely.geometry import box

from pipeline.types import Job, Period, Source


def make_job(**parts: Any) -> Job:  # noqa: ANN401  (the parts are those of Job)
    """Return a job over a small box in summer 2023; `parts` replace its fields."""
    whole: dict[str, Any] = {
        "name": "test",
        "aoi": box(9.0, 48.0, 9.1, 48.1),
        "period": Period(
            start=datetime(2023, 6, 1, tzinfo=UTC), end=datetime(2023, 9, 1, tzinfo=UTC)
        ),
        "sources": (Source(catalog="catalog.json"),),
        "store": "store",
    }
    return Job(**(whole | parts))
