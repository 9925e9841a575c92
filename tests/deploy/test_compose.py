"""The compose files: every reference leads somewhere, nothing secret stands in them."""

import re
from pathlib import Path

import pytest
import yaml

from pipeline.config import load_job

DEPLOY = Path(__file__).parents[2] / "deploy"
KEYS = {
    *("image", "build", "command", "profiles", "restart", "depends_on", "environment", "ports"),
    *("env_file", "volumes", "healthcheck", "security_opt", "cap_drop", "stop_grace_period"),
    *("deploy", "read_only", "tmpfs", "mem_limit"),
}
"""Keys of services that we use, each of the Compose Specification."""


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def services(compose):
    return compose["services"]


def test_the_keys_are_compose_s(compose, services):
    known = {"name", "services", "volumes"}
    assert all(key in known or key.startswith("x-") for key in compose)
    gpu = yaml.safe_load((DEPLOY / "compose.gpu.yaml").read_text())["services"]
    for name, service in [*services.items(), *gpu.items()]:
        assert set(service) <= KEYS, name
    assert set(gpu) <= set(services)


def test_what_services_wait_for_is_there_and_tells_of_its_health(services):
    for service in services.values():
        for name, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in services[name]


def test_volumes(compose, services):
    used = {each.split(":")[0] for s in services.values() for each in s.get("volumes", ())}
    named = {each for each in used if not each.startswith(".")}
    assert named == set(compose["volumes"])
    assert all((DEPLOY / each).exists() for each in used - named)


def test_nothing_listens_to_other_machines(services):
    ports = [each for s in services.values() for each in s.get("ports", ())]
    assert ports
    assert all(each.startswith("127.0.0.1:") for each in ports)


def test_what_is_built_is_a_stage(services):
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", (DEPLOY / "Dockerfile").read_text(), re.M))
    gpu = yaml.safe_load((DEPLOY / "compose.gpu.yaml").read_text())["services"]
    built = [each for each in (*services.values(), *gpu.values()) if "build" in each]
    assert len(built) == 3, "the others take what these build"
    for each in built:
        assert each["build"]["target"] in stages
        assert each["image"].endswith(f"-{each['build']['target']}")
        assert (DEPLOY / each["build"]["context"] / each["build"]["dockerfile"]).is_file()


def test_our_services_give_up_privileges(services):
    assert all("mem_limit" in each for each in services.values())
    for name in ("server", "worker", "deploy", "dask-scheduler", "dask-worker"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in services[name]["security_opt"]


def offered(name):
    lines = (DEPLOY / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_variables_of_the_shell_are_in_the_example():
    text = (DEPLOY / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+)", text)) == set(offered("example.env"))


@pytest.mark.parametrize("name", ["example.env", "credentials.example.env"])
def test_examples_hold_names_and_no_values(name):
    assert offered(name)
    assert not any(offered(name).values())


def test_the_database_s_password_goes_to_nobody_else(services):
    knowing = {name for name, each in services.items() if "POSTGRES_PASSWORD" in str(each)} | {
        name
        for name, each in services.items()
        if ".env" in str(each.get("env_file", "")).split("'")
    }
    assert knowing == {"database", "server"}


def test_the_server_s_settings_make_a_postgresql_url(services, monkeypatch):
    from prefect.settings import get_current_settings  # noqa: PLC0415

    settings = type(get_current_settings().server.database)
    for name, value in services["server"]["environment"].items():
        monkeypatch.setenv(name, "sesame" if value.startswith("${") else value)
    read = settings()
    assert read.driver == "postgresql+asyncpg"
    assert (read.host, read.port, read.user, read.name) == (
        "database",
        5432,
        services["database"]["environment"]["POSTGRES_USER"],
        services["database"]["environment"]["POSTGRES_DB"],
    )
    assert read.password.get_secret_value() == "sesame"


def test_the_job_that_is_mounted_is_valid():
    job = load_job(DEPLOY / "jobs/region.yaml")
    assert job.store.startswith("/var/lib/cloudmask/")
    assert job.run.memory_bytes is not None


def test_who_holds_a_slot_outlives_a_restart_of_the_server(services):
    server = services["server"]
    assert server["environment"]["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"].endswith(
        ".filesystem"
    )
    assert f"server:{server['environment']['PREFECT_HOME']}" in server["volumes"]
    docker = (DEPLOY / "Dockerfile").read_text()
    # A new volume takes the owner of the folder that it hides.
    assert server["environment"]["PREFECT_HOME"] in docker.split("install --directory")[1]


def test_dask_s_workers_reach_the_store_that_the_run_reaches(services):
    archive = "archive:/var/lib/cloudmask"
    assert archive in services["worker"]["volumes"]
    assert archive in services["dask-worker"]["volumes"]
    assert services["dask-worker"]["env_file"] == services["worker"]["env_file"]
