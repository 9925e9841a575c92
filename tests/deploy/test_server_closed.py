"""Prefect's server, with the settings of compose.yaml and of the manifests, listens to who has a login.

Its application is asked in this process: no database is migrated, which takes longer than all else.
"""

import base64
import os
from pathlib import Path

import pytest
import yaml
from prefect.context import root_settings_context
from prefect.server.api.server import create_app
from starlette.testclient import TestClient

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
def server(tmp_path_factory):
    """A client of the server's application, by the server's own settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PREFECT_")]:
            patch.delenv(name)
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
        for name, value in closing(of_compose()).items():
            patch.setenv(name, value)
        with root_settings_context():
            yield TestClient(create_app(ephemeral=True), base_url="http://127.0.0.1/api")


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
def test_nobody_without_the_login_is_heard(server, headers):
    for path in ("flow_runs/filter", "variables/", "work_pools/", "admin/database/clear"):
        for kind in ("application/json", "text/plain"):
            sent = headers | {"Content-Type": kind}
            asked = server.post(f"/{path}", content='{"name": "x"}', headers=sent)
            assert asked.status_code == 401
    assert server.get("/admin/version", headers=headers).status_code == 401


def test_no_other_page_may_ask_or_read(server):
    asking = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    refused = server.options("/flow_runs/filter", headers=FOREIGN | asking)
    assert refused.status_code == 400
    for asked in (refused, server.get("/health", headers=FOREIGN)):
        assert "access-control-allow-origin" not in asked.headers


def test_who_has_the_login_is_heard(server):
    assert server.get("/admin/version", headers=basic(LOGIN)).status_code == 200
