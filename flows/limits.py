"""Concurrency limits that several workers share: how many use a GPU, or search a catalogue, at once.

They are Prefect's global concurrency limits, made once by ``prefect gcl create``. A flow uses those that
its parameter ``limits`` names, with `strict`: else Prefect would only warn of a limit that does not
exist, and a typing error would switch it off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Literal

from prefect.concurrency.sync import concurrency

from flows.retries import best_effort
from pipeline.errors import ConfigError

Kind = Literal["gpu", "catalogue"]
KINDS: tuple[Kind, ...] = ("gpu", "catalogue")

LEASE_S = 60.0
"""Seconds after which the slot of a killed process is free; running ones renew it. Prefect's minimum."""

Limits = Mapping[str, str]
"""Kind -> name of a global concurrency limit, e.g. ``{gpu: cloudmask-gpu}``."""


def read_limits(given: Limits | None) -> Limits:
    """Check the parameter ``limits`` of a flow.

    Raises
    ------
    ConfigError
        It has an unknown kind.
    """
    limits = dict(given or {})
    unknown = sorted(set(limits) - set(KINDS))
    if unknown:
        raise ConfigError(f"limits: found {unknown}, expected some of {list(KINDS)}")
    return limits


@contextmanager
def slot(limits: Limits, kind: Kind) -> Iterator[None]:
    """Occupy a slot of the limit for this kind, if there is one; wait for it as long as it takes.

    Raises
    ------
    ConcurrencySlotAcquisitionError
        The limit does not exist, or the server cannot be asked.
    """
    name = limits.get(kind)
    if name is None:
        yield
        return
    occupied = ExitStack()
    # A server that restarts may lose its leases: one batch too many at once for a while is better than
    # hours of work thrown away.
    occupied.enter_context(
        concurrency(
            name, strict=True, lease_duration=LEASE_S, raise_on_lease_renewal_failure=False
        )
    )
    try:
        yield
    finally:
        # The work is done, even if the server cannot be reached at this moment.
        with best_effort(f"a slot of {name} will be free in {LEASE_S:.0f} s"):
            occupied.close()
