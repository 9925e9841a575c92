"""A Prefect server for the session, and the flows without waits between tries."""

import asyncio
import importlib

import pytest

from pipeline import config

# Before anything imports Prefect: it reads its environment then.
config.set_prefect_defaults()


@pytest.fixture(scope="session")
def server():
    """Start a server with an empty database; it takes some ten seconds."""
    utilities = importlib.import_module("prefect.testing.utilities")
    with utilities.prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(autouse=True)
def _model(threshold):
    """Every run masks with the threshold."""


@pytest.fixture
def work(server, monkeypatch):
    """Return what flows have in common, without delays between tries."""
    module = importlib.import_module("flows.work")
    for task in (module.plan_job, module.do_tiles):
        monkeypatch.setattr(task, "retry_delay_seconds", [0] * (module.TASK_RETRY.attempts - 1))
        monkeypatch.setattr(task, "retry_jitter_factor", None)
    return module


@pytest.fixture
def flow(work):
    """Return the module of the flows of one job."""
    return importlib.import_module("flows.region")


@pytest.fixture
def asked(server):
    """Ask the server: (method of its client, arguments) -> answer."""
    client_of = importlib.import_module("prefect.client.orchestration").get_client

    def ask(method, *arguments, **options):
        async def answer():
            async with client_of() as client:
                return await getattr(client, method)(*arguments, **options)

        return asyncio.run(answer())

    return ask
