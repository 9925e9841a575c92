"""deploy/prefect.yaml through Prefect's own models; image tags; what variables are named."""

import datetime
import importlib
import json
import re
import subprocess
import tomllib
import uuid
from pathlib import Path

import dask
import pytest
import yaml

from pipeline import errors
from pipeline.access.secrets import Credentials
from pipeline.config import load_job, read_archives
from pipeline.config.settings import PREFECT_DEFAULTS, Settings
from pipeline.errors import CloudmaskError
from pipeline.run.executors.dask import LIMITS
from pipeline.run.executors.local_cluster import ONE_HEAP
from pipeline.types import Record

MISSING = object()
ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FILE = DEPLOY / "prefect.yaml"
DEPLOYMENTS = yaml.safe_load(FILE.read_text())["deployments"]
TEXTS = [
    path
    for path in sorted(DEPLOY.rglob("*"))
    if path.is_file()
    and path.name not in (".env", "credentials.env")
    and "__pycache__" not in path.parts
]
OPERATIONS = ROOT / "docs/operations.md"
IMAGE_SETTINGS = {"PYTHONUNBUFFERED", "DO_NOT_TRACK", "XDG_CACHE_HOME", "TORCH_INDEX"}
"""Variables of Python, of Prefect's telemetry, of platformdirs, and our build argument."""
OF_OTHERS = {
    *("POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD"),
    *("RUSTFS_ADDRESS", "RUSTFS_VOLUMES", "RUSTFS_ACCESS_KEY", "RUSTFS_SECRET_KEY"),
    *("S3_ACCESS_KEY", "S3_SECRET_KEY"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    *("NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"),
    "EARTHDATA_TOKEN",
    "MALLOC_ARENA_MAX",
}
"""Variables that images and libraries read which are not here to be asked."""


def of(name):
    return next(each for each in DEPLOYMENTS if each["name"] == name)


# -- prefect.yaml ------------------------------------------------------------------------------


def test_prefect_reads_the_file():
    models = importlib.import_module("prefect.cli.deploy._models")
    read = models.PrefectYamlModel.model_validate(yaml.safe_load(FILE.read_text()))
    assert [each.name for each in read.deployments] == [each["name"] for each in DEPLOYMENTS]
    for each, given in zip(read.deployments, DEPLOYMENTS, strict=True):
        # Its models ignore keys that they do not know.
        assert set(given) <= set(type(each).model_fields)
        assert each.concurrency_limit.limit == 1
        assert each.work_pool.name == given["work_pool"]["name"]


def test_names_of_deployments_and_automations_come_once():
    names = [each["name"] for each in DEPLOYMENTS]
    triggers = [t["name"] for each in DEPLOYMENTS for t in each.get("triggers", ())]
    assert len(names) == len(set(names))
    assert len(triggers) == len(set(triggers))


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda each: each["name"])
def test_schedules_are_cron(deployment):
    schedules = importlib.import_module("prefect.client.schemas.schedules")
    for each in deployment.get("schedules", ()):
        schedules.CronSchedule(cron=each["cron"], timezone=each["timezone"])


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda each: each["name"])
def test_the_entry_point_is_a_flow_that_takes_the_parameters(deployment, monkeypatch):
    monkeypatch.chdir(ROOT)
    load = importlib.import_module("prefect.flows").load_flow_from_entrypoint
    flow = load(deployment["entrypoint"], use_placeholder_flow=False)
    path, name = deployment["entrypoint"].split(":")
    installed = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    assert flow.name == getattr(installed, name).name
    # Our flows take what they are given and check it themselves: unknown names would only show at night.
    assert set(deployment["parameters"]) <= set(flow.parameters.properties)
    flow.validate_parameters(deployment["parameters"])


# -- limits, automations -----------------------------------------------------------------------


def script():
    return (DEPLOY / "set-up.sh").read_text()


def test_every_limit_that_a_deployment_keeps_is_made():
    kinds = importlib.import_module("flows.limits").KINDS
    made = set(re.findall(r"(cloudmask-[a-z]+):[1-9]", script()))
    kept = [each["parameters"].get("limits", {}) for each in DEPLOYMENTS]
    assert {name for each in kept for name in each.values()} == made
    assert {kind for each in kept for kind in each} == set(kinds)


def test_what_masks_on_a_gpu_keeps_its_limit():
    for each in DEPLOYMENTS:
        variables = each["work_pool"].get("job_variables", {})
        assert ("gpu_limit" in variables) == ("gpu" in each["parameters"]["limits"])


def triggers():
    return [(each, t) for each in DEPLOYMENTS for t in each.get("triggers", ())]


@pytest.mark.parametrize(("deployment", "trigger"), triggers(), ids=lambda each: each["name"])
def test_triggers_are_prefect_s(deployment, trigger):
    events = importlib.import_module("prefect.events.schemas.deployment_triggers")
    read = events.DeploymentEventTrigger.model_validate(trigger)
    # Its models ignore keys that they do not know.
    assert set(trigger) <= set(type(read).model_fields)
    read.set_deployment_id(uuid.uuid4())
    assert read.as_automation().actions[0].type == "run-deployment"


def test_what_runs_unattended_is_run_again_after_a_crash():
    for each in DEPLOYMENTS:
        again = [
            t for t in each.get("triggers", ()) if t["expect"] == ["prefect.flow-run.Crashed"]
        ]
        assert bool(again) == bool(each.get("schedules")), each["name"]
        for trigger in again:
            assert trigger["match_related"]["prefect.resource.name"] == each["name"]
            assert trigger["schedule_after"] >= 60


def test_the_event_that_is_waited_for_is_the_one_that_is_sent(monkeypatch):
    showing = importlib.import_module("flows.artifacts")
    sent = []
    monkeypatch.setattr(showing, "emit_event", lambda name, **parts: sent.append((name, parts)))
    job = load_job(DEPLOY / "jobs/region.yaml")
    now = datetime.datetime.now(datetime.UTC)
    record = Record(
        job=job.name,
        run_id="x",
        started=now,
        finished=now,
        snapshot="S",
        expected=1,
        complete=1,
        items=(),
        dropped=(),
        radiometry={},
        models={},
        tiles=(),
        stages={},
    )
    showing.emit_published(job, record, "region")
    ((name, parts),) = sent
    (trigger,) = of("yearly")["triggers"]
    assert trigger["expect"] == [name]
    assert trigger["match"].items() <= parts["resource"].items()
    # Else its own news would run it again.
    showing.emit_published(job, record, "composite")
    assert not trigger["match"].items() <= sent[1][1]["resource"].items()


def test_automations_are_prefect_s():
    core = importlib.import_module("prefect.events.schemas.automations").AutomationCore
    found = yaml.safe_load((DEPLOY / "automations.yaml").read_text())["automations"]
    assert [each["name"] for each in found] == re.findall(
        r"automation delete ([\w-]+)", script()
    )
    tags = {tag for each in DEPLOYMENTS for tag in each.get("tags", ())}
    for each in found:
        read = core.model_validate(each)
        assert set(each["trigger"]) <= set(type(read.trigger).model_fields)
        (tag,) = tags
        assert each["trigger"]["match_related"]["prefect.resource.id"] == f"prefect.tag.{tag}"


def test_the_script_is_a_shell_s():
    subprocess.run(["sh", "-n", DEPLOY / "set-up.sh"], check=True)


@pytest.mark.parametrize("path", sorted((DEPLOY / "jobs").glob("*.yaml")), ids=lambda p: p.stem)
def test_jobs_are_valid(path):
    job = load_job(path)
    assert job.run.memory_bytes is not None, "a container sees the memory of its whole machine"


def test_archives_that_are_served_are_valid():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["serve"]
    assert "./archives.yaml:/etc/cloudmask/archives.yaml:ro" in compose["volumes"]
    assert "/etc/cloudmask/archives.yaml" in compose["command"]
    assert read_archives([], DEPLOY / "archives.yaml")


def test_yearly_composes_what_nightly_masks():
    """Else it would mask again, in another manner, and the two would undo each other's work."""
    nightly, yearly = (
        load_job(DEPLOY / "jobs" / f"{name}.yaml") for name in ("region", "yearly")
    )
    assert yearly.composite.name != nightly.composite.name
    assert yearly.replace(composite=None, run=nightly.run, aoi=nightly.aoi) == nightly.replace(
        composite=None
    )
    assert yearly.aoi.equals(nightly.aoi)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda each: each["name"])
def test_steps_are_prefect_s_own(deployment):
    for step in deployment.get("pull", ()):
        ((path, inputs),) = step.items()
        module, name = path.rsplit(".", 1)
        assert callable(getattr(importlib.import_module(module), name))
        assert inputs == {"directory": workdir()}


def workdir():
    (found,) = set(
        re.findall(r"^WORKDIR (/opt\S*)$", (DEPLOY / "Dockerfile").read_text(), re.M)
    )
    return found


def test_pools_that_start_containers_say_where_the_flow_is():
    """Else Prefect looks in the folder of whoever deployed it."""
    for each in DEPLOYMENTS:
        assert ("pull" in each) == (each["work_pool"]["name"] != "cloudmask")


def test_the_job_s_path_is_where_containers_have_it():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert "./jobs:/etc/cloudmask:ro" in compose["services"]["worker"]["volumes"]
    pool = json.dumps(json.loads((DEPLOY / "kubernetes/pool.json").read_text()))
    assert '"mountPath": "/etc/cloudmask"' in pool
    for each in DEPLOYMENTS:
        folder, _, name = each["parameters"]["job"].rpartition("/")
        assert folder == "/etc/cloudmask"
        assert (DEPLOY / "jobs" / name).is_file()


# -- everything in deploy/ ---------------------------------------------------------------------


def test_image_tags_are_the_version_s():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    stages = re.findall(r"^FROM \S+ AS (\S+)$", (DEPLOY / "Dockerfile").read_text(), re.M)
    found = {
        match
        for path in [*TEXTS, OPERATIONS]
        for match in re.findall(r"cloudmask:(\d[\w.]*)-(\w+)", path.read_text())
    }
    assert {stage for _, stage in found} == {"orchestrator", "cpu", "cuda"} <= set(stages)
    assert {tag for tag, _ in found} == {version}
    kustomization = yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text())
    assert kustomization["images"][0]["newTag"] == f"{version}-orchestrator"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_images_are_pinned(path):
    for line in path.read_text().splitlines():
        image = re.match(r'\s*"?image"?: "?([^\s"{]+)', line)
        if image:
            assert re.search(r":[\w.-]*\d[\w.-]*$", image[1]), line


def ours():
    """Return the variables that our settings classes read."""
    found = {f"CLOUDMASK_{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        inside = getattr(field.annotation, "model_fields", {})
        found |= {f"CLOUDMASK_{name}__{each}".upper() for each in inside}
    for name, field in Credentials.model_fields.items():
        alias = field.validation_alias
        choices = getattr(alias, "choices", [alias] if alias else [f"CLOUDMASK_{name.upper()}"])
        found |= set(choices)
    return found


def prefect_s(name):
    """Say whether Prefect, or its integration for Kubernetes, reads a variable."""
    settings = importlib.import_module("prefect.settings")
    known = set(settings.get_current_settings().to_environment_variables(exclude_unset=False))
    every = importlib.import_module("prefect.settings.legacy")._get_settings_fields
    known |= set(every(settings.Settings))
    return name in known or name == "PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_NAMESPACES"


def variables(text):
    return set(re.findall(r"\b(?:CLOUDMASK|PREFECT)_[A-Z0-9_]*[A-Z0-9]\b", text))


@pytest.mark.parametrize("path", [*TEXTS, OPERATIONS], ids=lambda path: path.name)
def test_every_variable_is_read_by_somebody(path):
    for name in variables(path.read_text()):
        assert name in ours() or prefect_s(name), name


def test_environments_name_nothing_unknown():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    named = {name for s in compose["services"].values() for name in s.get("environment", {})}
    for example in DEPLOY.glob("*example.env"):
        named |= set(re.findall(r"^(\w+)=", example.read_text(), re.M))
    docker = (DEPLOY / "Dockerfile").read_text()
    named |= set(re.findall(r"^(?:ENV |ARG |    )([A-Z_]+)=", docker, re.M))
    for name in named - OF_OTHERS - IMAGE_SETTINGS:
        assert name in ours() or prefect_s(name) or dask_s(name), name


def dask_s(name):
    """Say whether Dask has a setting of that name."""
    if not name.startswith("DASK_"):
        return False
    path = name.removeprefix("DASK_").lower().replace("__", ".")
    return dask.config.get(path, default=MISSING) is not MISSING


def test_schedulers_are_told_what_a_run_tells_its_own():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    documents = yaml.safe_load_all((DEPLOY / "kubernetes/dask/dask.yaml").read_text())
    (cluster,) = (each for each in documents if each["kind"] == "DaskCluster")
    (scheduler,) = cluster["spec"]["scheduler"]["spec"]["containers"]
    expected = {
        "DASK_" + name.upper().replace("-", "_").replace(".", "__"): str(value)
        for name, value in LIMITS.items()
    }
    assert compose["services"]["dask-scheduler"]["environment"] == expected
    assert {each["name"]: each["value"] for each in scheduler["env"]} == expected
    assert all(name in OPERATIONS.read_text() for name in expected)


def test_workers_are_told_what_a_run_tells_its_own():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes/dask/dask.yaml").read_text()))
    workers = [each["spec"]["worker"]["spec"] for each in documents if "worker" in each["spec"]]
    assert len(workers) == 2
    found = [compose["services"]["dask-worker"]["environment"]]
    found += [
        {each["name"]: each["value"] for each in spec["containers"][0]["env"]}
        for spec in workers
    ]
    expected = {name.split(".")[-1]: str(value) for name, value in ONE_HEAP.items()}
    assert all(expected.items() <= each.items() for each in found)
    assert all(
        f"export {name}={value}" in OPERATIONS.read_text() for name, value in expected.items()
    )


def test_images_have_the_defaults_that_the_command_sets():
    docker = (DEPLOY / "Dockerfile").read_text()
    for name in ("PREFECT_SERVER_ANALYTICS_ENABLED", "DO_NOT_TRACK"):
        assert f"{name}={PREFECT_DEFAULTS[name]}" in docker


_SECRET = re.compile(
    r"""(?ix) \b[\w-]* (?:password|secret|token|access_?key|api_?key) [\w-]* ["']? \s*[:=]\s*
        ["']? (?!true\b|false\b) [^\s"',}{\[]{4,}"""
)


def secret_in(line):
    """Find a value beside a name that sounds like a secret's; references are none."""
    without = re.sub(r"\$\{[^}]*\}", "", line)
    return None if line.lstrip().startswith("#") else _SECRET.search(without)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_no_secret_stands_in_a_file(path):
    text = path.read_text()
    assert [line for line in text.splitlines() if secret_in(line)] == []
    assert not re.search(r"://[^/\s:@]+:[^/\s@$]+@", text), "a password in a URL"
    assert not re.search(r"AKIA[0-9A-Z]{16}|-----BEGIN", text)


def test_the_search_for_secrets_finds_some():
    assert secret_in("  POSTGRES_PASSWORD: sesame")
    assert secret_in("AWS_SECRET_ACCESS_KEY=abcdefgh")
    assert secret_in('"api_key": "abcdefgh"')
    assert not secret_in("POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?set it}")
    assert not secret_in("POSTGRES_PASSWORD=")
    assert not secret_in("automountServiceAccountToken: false")


# -- docs/operations.md ------------------------------------------------------------------------


def test_the_table_of_exit_codes_is_the_code_s():
    rows = re.findall(r"^\| (\d+) \| `(\w+)`", OPERATIONS.read_text(), re.M)
    told = {name: int(code) for code, name in rows}
    tree = {
        name: each.exit_code
        for name, each in vars(errors).items()
        if isinstance(each, type)
        and issubclass(each, CloudmaskError)
        and each.__module__ == errors.__name__
    }
    tree.pop("CloudmaskError")
    assert told == tree


def test_every_command_of_cloudmask_that_is_named_is_there():
    from typer.main import get_command  # noqa: PLC0415

    from pipeline.cli import app  # noqa: PLC0415

    commands = get_command(app).commands
    options = {
        name: {o for each in command.params for o in each.opts}
        for name, command in commands.items()
    }
    blocks = re.findall(r"`{1,3}(?:sh\n)?([^`]+)`{1,3}", OPERATIONS.read_text())
    called = [
        line.split("#")[0].split()
        for block in blocks
        for line in block.splitlines()
        if re.match(r"\s*cloudmask [a-z]", line)
    ]
    assert len(called) > 10
    for _, name, *rest in called:
        assert name in commands, name
        if name != "models":
            assert {each for each in rest if each.startswith("--")} <= options[name], rest


def prefect_lines():
    """Return every command of Prefect in the operators' pages and in files of deploy/, in words."""
    texts = [path.read_text() for path in [*TEXTS, OPERATIONS]]
    found = {
        line
        for text in texts
        for line in re.findall(
            r"(?:^|[`(\s|])(prefect (?:--no-prompt )?[a-z][^`|#\n]*)", text, re.M
        )
    }
    return [line.replace("--no-prompt ", "").split() for line in found]


def test_every_command_of_prefect_that_is_named_is_there():
    app = importlib.import_module("prefect.cli._app")._app
    called = 0
    for _, *words in prefect_lines():
        at, path = app, []
        while words and not words[0].startswith("-") and _has(at, words[0]):
            path.append(words[0])
            at = at[words.pop(0)]
        if not path:
            # Prose, or a package to install.
            continue
        called += 1
        if words == ["--help"]:
            continue
        assert at.default_command is not None, (path, words)
        options = {option for option in words if option.startswith("--")}
        known = {name for each in at.assemble_argument_collection() for name in each.names}
        assert options <= known | {"--watch"}, (path, options - known)
    assert called > 15


def _has(app, word):
    try:
        return bool(app[word])
    except KeyError:
        return False


def test_files_and_links_that_are_named_are_there():
    text = OPERATIONS.read_text()
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert link.startswith("http") or (OPERATIONS.parent / link).exists(), link
    for path in re.findall(r"\bdeploy/[\w./-]+\w", text):
        assert (ROOT / path).exists() or path in ("deploy/.env", "deploy/credentials.env"), path
    for name in re.findall(r"--name ([\w-]+)", text):
        assert of(name)
