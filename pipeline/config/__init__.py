"""Job files and settings: what people write, checked and turned into the words of `pipeline.types`.

::

    load_job(path)  ─ files ─▶ plain values with line numbers
    parse_job(data) ─ jobs ──▶ Job            aoi: any form of an area ─▶ polygons in lon/lat
                       │                       periods: "2023-06/2023-08" ─▶ Period
                       │                       paths: relative paths, names and URLs
                       └─ mistakes ─▶ ConfigError, one line a mistake
    dump_job(job)   ─▶ plain JSON; parse_job(dump_job(job)) == job
    Settings        ─▶ the environment (``CLOUDMASK_…``), read nowhere else
"""

from __future__ import annotations

from pipeline.config.aoi import AOI_FORMS, read_aoi
from pipeline.config.jobs import dump_job, job_schema, load_job, parse_job
from pipeline.config.paths import store_url
from pipeline.config.periods import PERIOD_FORMS, read_period
from pipeline.config.settings import (
    Settings,
    read_settings,
    set_prefect_defaults,
    set_prefect_login,
)

__all__ = [
    "AOI_FORMS",
    "PERIOD_FORMS",
    "Settings",
    "dump_job",
    "job_schema",
    "load_job",
    "parse_job",
    "read_aoi",
    "read_period",
    "read_settings",
    "set_prefect_defaults",
    "set_prefect_login",
    "store_url",
]
