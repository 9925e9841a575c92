"""Retries of tasks and plans, best-effort requests, and limits that several runs share."""

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
def retries(monkeypatch):
    module = importlib.import_module("flows.retries")
    logged = []
    logger = SimpleNamespace(warning=lambda text, *parts: logged.append(text % parts))
    monkeypatch.setattr(module, "get_run_logger", lambda: logger)
    module.logged = logged
    return module


@pytest.fixture
def clock(retries, monkeypatch):
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
def test_tasks_are_retried_by_the_class_of_their_error(retries, error, verdict):
    assert retries.is_retryable(None, None, failing(error)) is verdict


def test_an_unreachable_server_is_retried_and_a_missing_limit_is_not(retries):
    assert retries.is_retryable(None, None, failing(no_slot(httpx.ConnectError("away"))))
    assert not retries.is_retryable(None, None, failing(no_slot(None)))


@pytest.mark.parametrize(
    "error", [StoreConflictError("held"), CatalogUnavailableError("down"), WorkersError("none")]
)
def test_a_flow_plans_again_while_that_may_help(retries, clock, error):
    outcomes = [error, error, error, "done"]

    def do():
        outcome = outcomes.pop(0)
        if outcome == "done":
            return outcome
        raise outcome

    assert retries.retry_plan(do, 600.0) == "done"
    for slept, longest in zip(clock.sleeps, (15, 30, 60), strict=True):
        assert longest / 2 <= slept <= longest
    assert len(retries.logged) == 3


def test_a_flow_gives_up_in_time(retries, clock):
    def do():
        raise StoreConflictError("held")

    with pytest.raises(StoreConflictError):
        retries.retry_plan(do, 1800.0)
    assert sum(clock.sleeps) <= 1800
    assert 100 < max(clock.sleeps) <= retries.PLAN_RETRY.longest_wait_s
    with pytest.raises(StoreConflictError):
        retries.retry_plan(do, 0.0)


def test_a_flow_does_not_plan_again_after_a_lasting_error(retries, clock):
    def do():
        raise ModelError("broken")

    with pytest.raises(ModelError):
        retries.retry_plan(do, 1800.0)
    assert clock.sleeps == []


def test_best_effort_logs_an_error_instead_of_raising_it(retries):
    with retries.best_effort("no picture"):
        raise httpx.ConnectError("away")
    assert retries.logged == ["no picture: ConnectError: away"]


@pytest.mark.parametrize("patient", [True, False])
def test_a_best_effort_request_is_made_once_unless_patient(retries, patient):
    """Prefect's client waits for minutes, as it must where the state of the run is at stake."""
    tries = retries.PREFECT_CLIENT_MAX_RETRIES
    usual = tries.value()
    with retries.best_effort("no bar", patient=patient):
        assert tries.value() == (usual if patient else 0)
    assert tries.value() == usual > 0
    assert retries.logged == []


# -- limits ------------------------------------------------------------------------------------


def job(region):
    return config.dump_job(region.job())


@pytest.mark.slow
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


@pytest.mark.slow
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
def limits(retries, monkeypatch):
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


def test_an_error_in_freeing_a_slot_does_not_fail_the_work(limits, retries):
    with limits.slot({"gpu": "cloudmask-gpu"}, "gpu"):
        done = True
    assert done
    assert retries.logged == [
        "a slot of cloudmask-gpu will be free in 60 s: ConnectError: away"
    ]
    ((name, options),) = limits.asked
    assert name == "cloudmask-gpu"
    assert options["strict"] is True
    assert options["raise_on_lease_renewal_failure"] is False


def test_the_error_of_the_work_is_the_one_that_is_raised(limits):
    with pytest.raises(ModelError), limits.slot({"gpu": "cloudmask-gpu"}, "gpu"):
        raise ModelError("broken")


def test_without_a_limit_no_request_is_made(limits):
    with limits.slot({"gpu": "cloudmask-gpu"}, "catalogue"):
        pass
    assert limits.asked == []
