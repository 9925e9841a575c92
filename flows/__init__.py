"""Prefect flows and tasks only: decorators, retries, limits, artifacts, events. What they do lives in `pipeline`.

::

    region.py      the flows `region`, `mask` and `composite`: one job, its store brought up to date
    backfill.py    the flow `backfill`: one of them for period after period
    work.py        what the three have in common: plan, one task a batch of tiles, publish
    asked.py       what a caller gives -> Job                                        (pure)
    patience.py    what is tried again, what waits, and what is not worth a run
    limits.py      slots that runs of several workers share: GPUs, catalogues
    showing.py     progress, tables, pictures, the record, and the event of a published region

Nothing that a flow did is kept by Prefect: results are not persisted and no task is cached. The store
knows what is done, by fingerprint, and a plan that was cached would be wrong as soon as the
catalogue had something new. So a flow that is started again plans again, finds the branch that the
one before left, takes over what was committed there, and does again at most the batch in flight.
"""
