"""Prefect flows and tasks only: decorators, retries, limits, artifacts, events. What they do lives in `pipeline`.

::

    region.py         the flows `region`, `mask` and `composite`: bring the store of one job up to date
    backfill.py       the flow `backfill`: one of these flows for period after period
    work.py           what the three share: plan, a task for each batch of tiles, publish
    job_parameter.py  parameter `job` of a flow -> Job                               (pure)
    retries.py        retries of tasks and plans; what is logged and stored of errors
    limits.py         concurrency limits that several workers share: GPUs, catalogues
    artifacts.py      progress, tables, picture, record; the event of a published region
    embedded.py       a flow inside a command, on Prefect's embedded server

Prefect stores nothing that a flow did: results are not persisted and no task is cached. The store knows
what is done, by fingerprint, and a cached plan would be wrong as soon as the catalogue had something
new. A flow that is started again plans again, finds the branch of the killed run, uses what was
committed there, and repeats at most the batch that was in work.
"""
