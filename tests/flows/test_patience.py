"""What is tried again, what waits, what is not worth a run; limits that many runs share."""

import asyncio
import importlib
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pytest

from pipeline import config
from pipeline.errors import (
    AssetUnavailableError,
    CatalogUnavailableError,
    ConfigError,
    ModelError,
    StoreConflictError,
    WorkersError,
)


@pytest.fixture
def patience(monkeypatch):
    module = importlib.import_module("flows.patience")
    said = []
    logger = SimpleNamespace(warning=lambda text, *parts: said.append(text % parts))
    monkeypatch.setattr(module, "get_run_logger", lambda: logger)
    module.said = said
    return module


@pytest.fixture
def clock(patience, monkeypatch):
    """Let time pass by sleeping alone."""
    now = SimpleNamespace(s=0.0, sleeps=[])

    def sleep(seconds):
        now.sleeps.append(seconds)
        now.s += seconds

    clock = SimpleNamespace(monotonic=lambda: now.s, sleep=sleep)
    monkeypatch.setattr("pipeline.access.retry.time", clock)
    return now


def failing(error):
    def result():
        raise error

    return SimpleNamespace(result=result)


def no_slot(cause):
    error = importlib.import_module(
        "prefect.concurrency.asyncio"
    ).ConcurrencySlotAcquisitionError("no slot")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (AssetUnavailableError("item", "red", "503"), True),
        (CatalogUnavailableError("down"), True),
        (ModelError("broken"), False),
        # The branch is lost: the flow plans again, the task cannot help.
        (StoreConflictError("moved"), False),
        (ZeroDivisionError(), False),
    ],
)
def test_tasks_are_tried_again_by_the_class_of_their_error(patience, error, verdict):
    assert patience.may_pass(None, None, failing(error)) is verdict


def test_a_server_that_is_away_may_come_back_a_limit_that_is_missing_does_not(patience):
    assert patience.may_pass(None, None, failing(no_slot(httpx.ConnectError("away"))))
    assert not patience.may_pass(None, None, failing(no_slot(None)))


@pytest.mark.parametrize(
    "error", [StoreConflictError("held"), CatalogUnavailableError("down"), WorkersError("none")]
)
def test_a_flow_plans_again_while_that_may_help(patience, clock, error):
    outcomes = [error, error, error, "done"]

    def do():
        outcome = outcomes.pop(0)
        if outcome == "done":
            return outcome
        raise outcome

    assert patience.while_it_may_pass(do, 600.0) == "done"
    for slept, longest in zip(clock.sleeps, (15, 30, 60), strict=True):
        assert longest / 2 <= slept <= longest
    assert len(patience.said) == 3


def test_a_flow_gives_up_in_time(patience, clock):
    def do():
        raise StoreConflictError("held")

    with pytest.raises(StoreConflictError):
        patience.while_it_may_pass(do, 1800.0)
    assert sum(clock.sleeps) <= 1800
    assert 100 < max(clock.sleeps) <= patience.PLAN.longest_wait_s
    with pytest.raises(StoreConflictError):
        patience.while_it_may_pass(do, 0.0)


def test_a_flow_does_not_wait_for_what_cannot_pass(patience, clock):
    def do():
        raise ModelError("broken")

    with pytest.raises(ModelError):
        patience.while_it_may_pass(do, 1800.0)
    assert clock.sleeps == []


def test_what_only_shows_costs_no_run(patience):
    with patience.not_worth_a_run("no picture"):
        raise httpx.ConnectError("away")
    assert patience.said == ["no picture: ConnectError: away"]


@pytest.mark.parametrize("worth_a_wait", [True, False])
def test_a_bar_does_not_hold_up_the_work_while_the_server_is_away(patience, worth_a_wait):
    """Prefect's client waits for minutes, as it must where the state of the run is at stake."""
    tries = patience.PREFECT_CLIENT_MAX_RETRIES
    usual = tries.value()
    with patience.not_worth_a_run("no bar", worth_a_wait=worth_a_wait):
        assert tries.value() == (usual if worth_a_wait else 0)
    assert tries.value() == usual > 0
    assert patience.said == []


# -- limits ------------------------------------------------------------------------------------


def job(region):
    return config.dump_job(region.job())


def test_a_limit_of_an_unknown_kind(flow, region):
    with pytest.raises(ConfigError, match=r"limits: found \['cpu'\]"):
        flow.region(job(region), limits={"cpu": "cloudmask-cpu"}, wait_min=0)


def test_a_limit_that_does_not_exist_fails_the_run_at_once(flow, region, asked):
    with pytest.raises(Exception, match="must be created"):
        flow.region(job(region), limits={"catalogue": "cloudmask-nowhere"}, wait_min=0)
    ended = max(asked("read_flow_runs"), key=lambda each: each.start_time)
    assert ended.state_name == "Failed"
    (plan,) = [each for each in asked("read_task_runs") if each.flow_run_id == ended.id]
    assert plan.run_count == 1


def test_a_run_waits_for_a_slot_and_gives_it_back(flow, region, asked):
    actions = importlib.import_module("prefect.client.schemas.actions")
    limit = actions.GlobalConcurrencyLimitCreate(name="cloudmask-one", limit=1)
    asked("create_global_concurrency_limit", limit)
    held = asked("increment_concurrency_slots", ["cloudmask-one"], 1, "concurrency")
    assert held.is_success
    freed = []

    def free():
        time.sleep(3.0)
        freed.append(time.monotonic())
        asyncio.run(_free())

    async def _free():
        client_of = importlib.import_module("prefect.client.orchestration").get_client
        async with client_of() as client:
            await client.release_concurrency_slots(["cloudmask-one"], 1, 1.0)

    thread = threading.Thread(target=free)
    thread.start()
    record = flow.region(job(region), limits={"gpu": "cloudmask-one"}, wait_min=0)
    ended = time.monotonic()
    thread.join()
    assert record.complete == 6
    assert freed[0] < ended
    left = asked("read_global_concurrency_limit_by_name", "cloudmask-one")
    assert left.active_slots == 0


@pytest.fixture
def limits(patience, monkeypatch):
    """Return the module, its slots given by a server that goes away when one comes back."""
    module = importlib.import_module("flows.limits")
    asked = []

    @contextmanager
    def concurrency(name, **options):
        asked.append((name, options))
        yield
        raise httpx.ConnectError("away")

    monkeypatch.setattr(module, "concurrency", concurrency)
    module.asked = asked
    return module


def test_work_is_not_lost_when_its_slot_cannot_be_given_back(limits, patience):
    with limits.slot({"gpu": "cloudmask-gpu"}, "gpu"):
        done = True
    assert done
    assert patience.said == ["a slot of cloudmask-gpu will be free in 60 s: ConnectError: away"]
    ((name, options),) = limits.asked
    assert name == "cloudmask-gpu"
    assert options["strict"] is True
    assert options["raise_on_lease_renewal_failure"] is False


def test_the_error_of_the_work_is_the_one_that_is_raised(limits):
    with pytest.raises(ModelError), limits.slot({"gpu": "cloudmask-gpu"}, "gpu"):
        raise ModelError("broken")


def test_without_a_limit_nobody_is_asked(limits):
    with limits.slot({"gpu": "cloudmask-gpu"}, "catalogue"):
        pass
    assert limits.asked == []
