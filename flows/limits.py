"""Slots that the runs of several workers share: how many use a GPU, or ask a catalogue, at once.

They are Prefect's global concurrency limits, made once by ``prefect gcl create``. A flow takes them
only where its parameter ``limits`` names them, and then strictly: without `strict`, Prefect goes on
with a warning where a limit does not exist, and an operator's slip would go unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Literal

from prefect.concurrency.sync import concurrency

from flows.patience import not_worth_a_run
from pipeline.errors import ConfigError

Kind = Literal["gpu", "catalogue"]
KINDS: tuple[Kind, ...] = ("gpu", "catalogue")

LEASE_S = 60.0
"""How long a slot stays taken when its holder has died; Prefect takes no less. Living ones renew it."""

Limits = Mapping[str, str]
"""Kind -> name of a global concurrency limit, e.g. ``{gpu: cloudmask-gpu}``."""


def read_limits(given: Limits | None) -> Limits:
    """Check the parameter ``limits`` of a flow.

    Raises
    ------
    ConfigError
        It names a kind that there is not.
    """
    limits = dict(given or {})
    unknown = sorted(set(limits) - set(KINDS))
    if unknown:
        raise ConfigError(f"limits: found {unknown}, expected some of {list(KINDS)}")
    return limits


@contextmanager
def slot(limits: Limits, kind: Kind) -> Iterator[None]:
    """Hold a slot of a limit, if there is one for this kind; wait for it as long as it takes.

    Raises
    ------
    ConcurrencySlotAcquisitionError
        The limit does not exist, or the server cannot be asked.
    """
    name = limits.get(kind)
    if name is None:
        yield
        return
    held = ExitStack()
    # A server that restarts may forget who holds what. Better one batch too many at once for a
    # while than hours of work thrown away.
    held.enter_context(
        concurrency(
            name, strict=True, lease_duration=LEASE_S, raise_on_lease_renewal_failure=False
        )
    )
    try:
        yield
    finally:
        # What was done under it is done, whether or not the server can be told at this moment.
        with not_worth_a_run(f"a slot of {name} will be free in {LEASE_S:.0f} s"):
            held.close()
