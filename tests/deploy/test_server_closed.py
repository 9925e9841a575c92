"""Prefect's server, started with the settings of compose.yaml and of the manifests, listens to who has a login."""

import base64
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
LOGIN = "admin:sesame"
FOREIGN = {"Origin": "https://evil.example"}


def of_compose() -> dict[str, str]:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    return services["server"]["environment"]


def of_kubernetes() -> dict[str, str]:
    document = next(yaml.safe_load_all((DEPLOY / "kubernetes/server.yaml").read_text()))
    (container,) = document["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value", "${secret}") for each in container["env"]}


def closing(environment: dict[str, str]) -> dict[str, str]:
    """Return what decides who may call, with a login of the test's own."""
    return {
        name: LOGIN if "$" in value else value
        for name, value in environment.items()
        if name.startswith(("PREFECT_SERVER_API", "PREFECT_SERVER_CORS", "PREFECT_SERVER_CSRF"))
    }


def test_both_close_it_alike():
    assert closing(of_compose()) == closing(of_kubernetes())
    assert closing(of_compose())["PREFECT_SERVER_API_AUTH_STRING"] == LOGIN


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    home = tmp_path_factory.mktemp("prefect")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1"]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env=kept
            | closing(of_compose())
            | {"PREFECT_HOME": str(home), "PREFECT_UI_STATIC_DIRECTORY": str(home / "ui")}
            | {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"},
            stdout=log,
            stderr=log,
        )
        try:
            yield answering(process, f"http://127.0.0.1:{port}/api", home / "log")
        finally:
            process.terminate()
            process.wait(timeout=60)


def answering(process: subprocess.Popen, url: str, log: Path) -> str:
    ends = time.monotonic() + 180
    while time.monotonic() < ends and process.poll() is None:
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                return url
        except httpx.TransportError:
            time.sleep(0.3)
    raise AssertionError(log.read_text())


def basic(login: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        FOREIGN,
        {"Host": "evil.example"},
        basic("admin:guess"),
        {"Authorization": "Bearer x"},
    ],
    ids=["bare", "origin", "host", "guess", "bearer"],
)
def test_nobody_without_the_login_is_heard(url, headers):
    for path in ("flow_runs/filter", "variables/", "work_pools/", "admin/database/clear"):
        for kind in ("application/json", "text/plain"):
            sent = headers | {"Content-Type": kind}
            asked = httpx.post(f"{url}/{path}", content='{"name": "x"}', headers=sent)
            assert asked.status_code == 401
    assert httpx.get(f"{url}/admin/version", headers=headers).status_code == 401


def test_no_other_page_may_ask_or_read(url):
    asking = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    refused = httpx.options(f"{url}/flow_runs/filter", headers=FOREIGN | asking)
    assert refused.status_code == 400
    for asked in (refused, httpx.get(f"{url}/health", headers=FOREIGN)):
        assert "access-control-allow-origin" not in asked.headers


def test_who_has_the_login_is_heard(url):
    asked = httpx.post(f"{url}/flow_runs/filter", json={}, headers=basic(LOGIN))
    assert (asked.status_code, asked.json()) == (200, [])
    assert httpx.get(f"{url}/ready").status_code == 200
