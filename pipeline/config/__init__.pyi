from .aoi import AOI_FORMS, read_aoi
from .environment import LOG_LEVEL, has_settings
from .jobs import dump_job, job_schema, load_job, parse_job
from .paths import store_url
from .periods import PERIOD_FORMS, read_period
from .serving import ServeSettings, read_archives
from .settings import (
    Settings,
    read_settings,
    set_prefect_defaults,
    set_prefect_login,
)

__all__ = [
    "AOI_FORMS",
    "LOG_LEVEL",
    "PERIOD_FORMS",
    "ServeSettings",
    "Settings",
    "dump_job",
    "has_settings",
    "job_schema",
    "load_job",
    "parse_job",
    "read_aoi",
    "read_archives",
    "read_period",
    "read_settings",
    "set_prefect_defaults",
    "set_prefect_login",
    "store_url",
]
