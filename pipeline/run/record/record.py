"""Plan + receipts -> Record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from pipeline import catalogs, sensors
from pipeline.config import read_settings
from pipeline.mask import too_much_shadow
from pipeline.run.plan.plan import Plan
from pipeline.run.record.cost import areas, bill
from pipeline.run.record.manifest import manifest
from pipeline.types import Cost, Doubtful, Record, Searched, Step, TileReceipt, outline_of
from pipeline.wording import counted

CARD_PARTS = ("name", "version", "weights", "weights_sha256", "licence", "source", "limits")
"""Fields of a model's card that go into a record."""

OTHER = "other"
"""Stage of all that is outside of the others: commits, waits, tries that failed."""


def make_record(
    plan: Plan,
    receipts: Sequence[TileReceipt],
    *,
    started: datetime,
    other: Mapping[str, Cost],
    bytes_stored: Callable[[], int] | None = None,
    failure: str | None = None,
) -> Record:
    """Make the record of a run that ends now.

    Parameters
    ----------
    plan
        What was to be done.
    receipts
        What was done, by this process and others.
    started
        UTC.
    other
        Costs of this process by stage, beside those of the receipts.
    bytes_stored
        Measures the chunks of the store. Called only where storage has a price, because it lists every
        state that can still be read. None: not known.
    failure
        Why nothing is published; None: the run has not failed.

    Returns
    -------
    The record, not published yet: its snapshot is none.
    """
    rows, prices = manifest(plan, receipts), read_settings().prices
    stages = _added_up([*(receipt.stages for receipt in receipts), other])
    total = sum(stages.values(), Cost())
    ground = areas(plan, receipts)
    priced = prices is not None and prices.gb_month_stored is not None
    stored = bytes_stored() if priced and bytes_stored is not None else None
    return Record(
        job=plan.job.name,
        run_id=f"{started:%Y%m%dT%H%M%SZ}",
        started=started,
        finished=datetime.now(UTC),
        snapshot=None,
        expected=sum(row.cells for row in rows),
        complete=sum(row.complete for row in rows),
        items=tuple(item.id for item in plan.items),
        missed=tuple(item.id for item in plan.items.missed),
        dropped=(
            *plan.items.dropped,
            *plan.gone,
            *(dropped for receipt in receipts for dropped in receipt.dropped),
        ),
        radiometry={item.id: _in_words(sensors.radiometry(item)) for item in plan.items},
        models={
            sensor: {part: str(getattr(card, part)) for part in CARD_PARTS}
            for sensor, card in plan.cards.items()
        },
        tiles=tuple(receipts),
        stages=stages,
        manifest=rows,
        searched=_searched(plan, started),
        steps=tuple(steps(plan)),
        failure=failure,
        doubtful=doubtful(receipts),
        area_km2=ground[0],
        scene_km2=ground[1],
        bytes_stored=stored,
        bill=bill(prices, total, ground, stored),
    )


def doubtful(receipts: Sequence[TileReceipt]) -> tuple[Doubtful, ...]:
    """Return the scenes whose cells, as far as this run masked them, have more shadow than clouds can throw."""
    sums: dict[tuple[datetime, str], NDArray[np.int64]] = {}
    for cell in (cell for receipt in receipts for cell in receipt.cells):
        counts = np.array([cell.data, cell.cloud, cell.shadow])
        scene = cell.time, cell.sensor
        sums[scene] = sums.get(scene, 0) + counts
    return tuple(
        Doubtful(time=time_, sensor=sensor, data=data, cloud=cloud, shadow=shadow)
        for (time_, sensor), (data, cloud, shadow) in sorted(
            (scene, counts.tolist()) for scene, counts in sums.items()
        )
        if too_much_shadow(data, cloud, shadow)
    )


def _searched(plan: Plan, started: datetime) -> Searched | None:
    """Return what the catalogues were searched for; None if all of the dates are in the future."""
    asked = plan.job.period
    end = min(asked.end, started)
    if end <= asked.start:
        return None
    return Searched(
        start=asked.start,
        end=end,
        sensors=_sensors_asked(plan),
        aoi=outline_of(plan.job.aoi),
        filtered=any(source.query or source.filter for source in plan.job.sources),
    )


def _sensors_asked(plan: Plan) -> tuple[str, ...]:
    """Return the sensors of the collections that were searched; empty: all."""
    found: set[str] = set()
    for source in plan.job.sources:
        collections = source.collections or catalogs.find(source.catalog).collections
        if not collections:
            return ()
        for name in collections:
            # Of a collection without a row in the table, the items tell the sensors.
            found |= sensors.sensors_of(name) or {scene.sensor for scene in plan.scenes}
    return tuple(sorted(found))


def steps(plan: Plan) -> Iterator[Step]:
    """Yield the periods of a plan's composites, each with the days that the job asked for."""
    asked = plan.job.period
    for each in plan.periods:
        start, end = max(each.start, asked.start), min(each.end, asked.end)
        yield Step(
            period=_days(each.start, each.end),
            asked=_days(start, end) if start < end else None,
            scenes=len(plan.scenes_in(each)),
            from_store=int((plan.earlier_masks[:, plan.earlier_in(each)] > 0).any(axis=0).sum())
            if plan.earlier.scenes
            else 0,
            composite=plan.job.composed[0].name,
        )
    for other in plan.others:
        yield from steps(other)


def _days(start: datetime, end: datetime) -> str:
    """Write a span as days: the first inside, and the first after."""
    last = end if end == datetime.combine(end.date(), time(), UTC) else end + timedelta(days=1)
    return f"{start:%Y-%m-%d}/{last:%Y-%m-%d}"


def shortfall(record: Record, wanted: float) -> str | None:
    """Return an error's text if the share of complete cells is below `wanted` (0 to 1), else None."""
    share = record.complete / record.expected if record.expected else 1.0
    if share >= wanted:
        return None
    missed = set(record.missed)
    reasons = sorted(
        {
            f"{each.item_id}: {each.reason}"
            for each in record.dropped
            if each.tile or each.item_id in missed
        }
    )
    return (
        f"only {record.complete} of {counted(record.expected, 'cell')} ({share:.1%}) could be read in full, "
        f"run.min_completeness is {wanted:.1%}; nothing is published. {'; '.join(reasons[:3])}"
        f"{f'; and {len(reasons) - 3} more' if len(reasons) > 3 else ''}"
    )


def _added_up(costs: Sequence[Mapping[str, Cost]]) -> dict[str, Cost]:
    stages: dict[str, Cost] = {}
    for each in costs:
        for name, cost in each.items():
            stages[name] = stages.get(name, Cost()) + cost
    return stages


def _in_words(rule: sensors.Radiometry) -> str:
    return f"{rule.reason} (doubtful: look at the pixels)" if rule.doubtful else rule.reason
