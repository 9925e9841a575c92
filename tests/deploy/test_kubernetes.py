"""The manifests against the schemas of Kubernetes; the pool's template against Prefect's rules."""

import copy
import importlib
import json
import re
from pathlib import Path

import kubernetes_validate
import pytest
import typer
import yaml

from pipeline.cli import app
from pipeline.config import load_job

DEPLOY = Path(__file__).parents[2] / "deploy"
FOLDER = DEPLOY / "kubernetes"
VERSION = "1.37"

DOCUMENTS = [
    document
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for document in yaml.safe_load_all(path.read_text())
]
PODS = [each for each in DOCUMENTS if each["kind"] == "Deployment"]
DASK = list(yaml.safe_load_all((FOLDER / "dask/dask.yaml").read_text()))


@pytest.fixture(scope="module")
def pool():
    return json.loads((FOLDER / "pool.json").read_text())


def name_of(document):
    return f"{document['kind']}/{document['metadata']['name']}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_manifests_are_kubernetes_own(document):
    kubernetes_validate.validate(document, VERSION, strict=True)


def test_the_validator_refuses_what_is_wrong():
    wrong = copy.deepcopy(PODS[0])
    wrong["spec"]["template"]["spec"]["containers"][0]["imagine"] = "a key"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_the_kustomization_lists_every_manifest():
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    manifests = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == manifests
    (namespace,) = (d for d in DOCUMENTS if d["kind"] == "Namespace")
    assert kustomization["namespace"] == namespace["metadata"]["name"]


@pytest.mark.parametrize("document", PODS, ids=name_of)
def test_deployments_select_their_own_pods(document):
    labels = document["spec"]["template"]["metadata"]["labels"]
    assert document["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_the_server_is_found_by_its_name():
    services = {d["metadata"]["name"]: d for d in DOCUMENTS if d["kind"] == "Service"}
    service = services["prefect-server"]
    (server,) = (d for d in PODS if d["metadata"]["name"] == "prefect-server")
    labels = server["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    (worker,) = (d for d in PODS if d["metadata"]["name"] == "prefect-worker")
    environment = worker["spec"]["template"]["spec"]["containers"][0]["env"]
    (url,) = (each["value"] for each in environment if each["name"] == "PREFECT_API_URL")
    port = service["spec"]["ports"][0]["port"]
    assert url == f"http://{service['metadata']['name']}:{port}/api"


def test_the_archives_are_served_read_only_and_with_a_key():
    (served,) = (d for d in PODS if d["metadata"]["name"] == "cloudmask-serve")
    (container,) = served["spec"]["template"]["spec"]["containers"]
    assert (
        container["env"][0]["valueFrom"]["secretKeyRef"]["key"] == container["env"][0]["name"]
    )
    writable = {each["name"] for each in container["volumeMounts"] if not each.get("readOnly")}
    assert writable == {"tmp"}
    asked = {container[each]["httpGet"]["path"] for each in ("livenessProbe", "readinessProbe")}
    assert asked == {"/health/live", "/health/ready"}
    options = {name for each in get_command("serve").params for name in each.opts}
    assert {each for each in container["args"] if each.startswith("--")} <= options


def get_command(name):
    return typer.main.get_command(app).commands[name]


# -- the template of the pool ------------------------------------------------------------------


def rendered(pool, **variables):
    """Fill the template in as Prefect does, with what Prefect gives every run."""
    from prefect.utilities.templating import apply_values  # noqa: PLC0415

    properties = pool["variables"]["properties"]
    values = {key: each["default"] for key, each in properties.items() if "default" in each}
    given = {"name": "run", "command": "prefect flow-run execute"}
    return apply_values(copy.deepcopy(pool["job_configuration"]), values | given | variables)


def manifest(pool, **variables):
    """Return the Job as the worker sends it: lists instead of a command and a mapping."""
    job = rendered(pool, **variables)["job_manifest"]
    container = job["spec"]["template"]["spec"]["containers"][0]
    container["args"] = container["args"].split()
    container["env"] = [{"name": k, "value": v} for k, v in container["env"].items()]
    return job


def test_prefect_takes_the_template(pool):
    from prefect.client.schemas.actions import WorkPoolCreate  # noqa: PLC0415

    WorkPoolCreate(name="cloudmask-kubernetes", type="kubernetes", base_job_template=pool)


def test_variables_and_placeholders_are_the_same(pool):
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(pool["job_configuration"])))
    assert used == set(pool["variables"]["properties"])


def deployed():
    file = yaml.safe_load((DEPLOY / "prefect.yaml").read_text())
    return [
        each["work_pool"].get("job_variables", {})
        for each in file["deployments"]
        if each["work_pool"]["name"] == "cloudmask-kubernetes"
    ]


@pytest.mark.parametrize("variables", deployed())
def test_what_it_makes_is_a_job(pool, variables):
    from prefect.utilities.schema_tools import validate  # noqa: PLC0415

    validate(variables, pool["variables"], raise_on_error=True, preprocess=False)
    assert set(variables) <= set(pool["variables"]["properties"])
    job = manifest(pool, **variables)
    assert "{{" not in json.dumps(job)
    kubernetes_validate.validate(job, VERSION, strict=True)


def test_a_gpu_is_asked_for_by_the_one_that_wants_it(pool):
    def of(variables):
        spec = manifest(pool, **variables)["spec"]["template"]["spec"]
        return spec["containers"][0]["resources"]["limits"].get("nvidia.com/gpu"), spec

    plain, gpu, dask = deployed()
    assert of(dask)[0] is None
    assert of(plain)[0] is None
    asked, spec = of(gpu)
    assert asked == 1
    assert spec["nodeSelector"] == {"cloudmask/pool": "gpu"}
    assert spec["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert spec["containers"][0]["image"].endswith("-cuda")


def pods(pool):
    yield from (each["spec"]["template"]["spec"] for each in PODS)
    yield manifest(pool)["spec"]["template"]["spec"]


def test_no_pod_runs_as_root(pool):
    for pod in pods(pool):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "memory" in container["resources"]["limits"]


def test_volumes_and_claims_are_there(pool):
    claims = {d["metadata"]["name"] for d in DOCUMENTS if d["kind"] == "PersistentVolumeClaim"}
    pod = manifest(pool)["spec"]["template"]["spec"]
    mounted = {each["name"] for each in pod["containers"][0]["volumeMounts"]}
    assert mounted == {each["name"] for each in pod["volumes"]}
    server = [each["spec"]["template"]["spec"].get("volumes", []) for each in PODS]
    claimed = {
        each["persistentVolumeClaim"]["claimName"]
        for volumes in [pod["volumes"], *server]
        for each in volumes
        if "persistentVolumeClaim" in each
    }
    assert claimed == claims


def test_who_holds_a_slot_outlives_a_restart_of_the_server():
    (server,) = (d for d in PODS if d["metadata"]["name"] == "prefect-server")
    (container,) = server["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each.get("value") for each in container["env"]}
    assert environment["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"].endswith(".filesystem")
    (mount,) = (each for each in container["volumeMounts"] if each["name"] == "home")
    assert environment["PREFECT_HOME"] == mount["mountPath"]


def test_only_ours_reach_the_server(pool):
    policies = {
        d["metadata"]["name"]: d["spec"] for d in DOCUMENTS if d["kind"] == "NetworkPolicy"
    }
    assert policies["nobody"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    ((rule,), pods) = (policies["prefect-server"][key] for key in ("ingress", "podSelector"))
    (allowed,) = (each["podSelector"]["matchLabels"] for each in rule["from"])
    for document in PODS:
        labels = document["spec"]["template"]["metadata"]["labels"]
        assert allowed.items() <= labels.items()
    assert allowed.items() <= pool["variables"]["properties"]["labels"]["default"].items()
    assert any(pods["matchLabels"].items() <= d["metadata"]["labels"].items() for d in PODS)
    # Nor Dask's scheduler, and with it the dashboard.
    for rule in dask("NetworkPolicy")["spec"]["ingress"]:
        assert all(each.get("podSelector") != {} for each in rule["from"])


def test_the_login_comes_by_secret(pool):
    for name, variable in (
        ("prefect-server", "PREFECT_SERVER_API_AUTH_STRING"),
        ("prefect-worker", "PREFECT_API_AUTH_STRING"),
    ):
        (pod,) = (d for d in PODS if d["metadata"]["name"] == name)
        (container,) = pod["spec"]["template"]["spec"]["containers"]
        (held,) = (each for each in container["env"] if each["name"] == variable)
        assert held["valueFrom"]["secretKeyRef"]["name"] == "cloudmask-prefect"
        assert "readinessProbe" in container
    (container,) = manifest(pool)["spec"]["template"]["spec"]["containers"]
    assert {"secretRef": {"name": "cloudmask-prefect"}} in container["envFrom"]


def test_the_worker_may_do_what_it_must_and_no_more():
    (role,) = (d for d in DOCUMENTS if d["kind"] == "Role")
    for rule in role["rules"]:
        assert "*" not in rule["resources"] + rule["verbs"] + rule["apiGroups"]
        assert "secrets" not in rule["resources"]


# -- Dask --------------------------------------------------------------------------------------


def dask(kind):
    (found,) = (each for each in DASK if each["kind"] == kind)
    return found


def dask_pods():
    cluster, group = dask("DaskCluster")["spec"], dask("DaskWorkerGroup")["spec"]
    return {
        "scheduler": cluster["scheduler"]["spec"],
        "worker": cluster["worker"]["spec"],
        "gpu": group["worker"]["spec"],
    }


@pytest.mark.parametrize("name", dask_pods())
def test_the_operator_gets_pods(name):
    """The operator's own kinds have no schema here; what they are made of has."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}
    kubernetes_validate.validate(pod | {"spec": dask_pods()[name]}, VERSION, strict=True)
    assert dask_pods()[name]["securityContext"]["runAsNonRoot"] is True
    (container,) = dask_pods()[name]["containers"]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert "memory" in container["resources"]["limits"]


def test_the_operator_s_kinds_have_the_parts_that_it_reads():
    cluster, group = dask("DaskCluster"), dask("DaskWorkerGroup")
    assert {each["apiVersion"] for each in (cluster, group)} == {"kubernetes.dask.org/v1"}
    assert set(cluster["spec"]) == {"worker", "scheduler"}
    assert (
        set(cluster["spec"]["worker"]) == set(group["spec"]["worker"]) == {"replicas", "spec"}
    )
    assert set(cluster["spec"]["scheduler"]) == {"spec", "service"}
    assert group["spec"]["cluster"] == cluster["metadata"]["name"]
    kubernetes_validate.validate(dask("NetworkPolicy"), VERSION, strict=True)


def test_the_service_finds_the_scheduler_and_jobs_find_the_service():
    service = dask("DaskCluster")["spec"]["scheduler"]["service"]
    document = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dask-scheduler"}}
    kubernetes_validate.validate(document | {"spec": service}, VERSION, strict=True)
    name = dask("DaskCluster")["metadata"]["name"]
    assert service["selector"] == {
        "dask.org/cluster-name": name,
        "dask.org/component": "scheduler",
    }
    job = yaml.safe_load((DEPLOY / "jobs/wide.yaml").read_text())
    address = job["run"]["cluster"]["address"]
    assert address == f"tcp://{name}-scheduler:{service['ports'][0]['port']}"
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert f"{name}-scheduler" in compose
    assert address in compose["dask-worker"]["command"]


def test_workers_on_gpus_say_so_and_ask_for_one():
    gpu, plain = dask_pods()["gpu"], dask_pods()["worker"]
    (container,) = gpu["containers"]
    assert container["args"][-2:] == ["--resources", "GPU=1"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert gpu["nodeSelector"] == {"cloudmask/pool": "gpu"}
    assert gpu["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert "--resources" not in plain["containers"][0]["args"]


@pytest.mark.parametrize("name", ["worker", "gpu"])
def test_dask_s_limit_is_below_the_pod_s(name):
    (container,) = dask_pods()[name]["containers"]
    args = container["args"]
    asked = int(re.fullmatch(r"(\d+)GiB", args[args.index("--memory-limit") + 1])[1])
    allowed = int(re.fullmatch(r"(\d+)Gi", container["resources"]["limits"]["memory"])[1])
    assert asked < allowed
    job = load_job(DEPLOY / "jobs/wide.yaml")
    assert job.run.memory_bytes <= asked * 2**30


@pytest.mark.parametrize("command", ["worker", "scheduler"])
def test_dask_knows_the_options(command):
    cli = importlib.import_module(f"distributed.cli.dask_{command}")
    known = {o for each in cli.main.params for o in (*each.opts, *each.secondary_opts)}
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    gpu = yaml.safe_load((DEPLOY / "compose.gpu.yaml").read_text())["services"]
    lines = [each["containers"][0]["args"] for each in dask_pods().values()]
    lines += [
        each["command"] for each in (*compose.values(), *gpu.values()) if "command" in each
    ]
    ours = [line for line in lines if line[:2] == ["dask", command]]
    assert len(ours) >= 2
    for line in ours:
        assert {each for each in line if each.startswith("--")} <= known
