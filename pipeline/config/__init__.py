"""Job files and settings: what people write, checked and turned into the words of `pipeline.types`.

::

    load_job(path)  ─ files ─▶ plain values with line numbers
    parse_job(data) ─ jobs ──▶ Job            aoi: any form of an area ─▶ polygons in lon/lat
                       │                       periods: "2023-06/2023-08" ─▶ Period
                       │                       paths: relative paths, names and URLs
                       └─ mistakes ─▶ ConfigError, one line a mistake
    dump_job(job)   ─▶ plain JSON; parse_job(dump_job(job)) == job
    Settings        ─▶ the environment (``CLOUDMASK_…``), read nowhere else

Nothing is imported before it is used: a command that reads no job starts without what jobs need.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
