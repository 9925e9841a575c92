"""The Dockerfile: what is in the images, what is not, and habits that keep them small and safe."""

import re
import tomllib
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy/Dockerfile"
FINAL = ("orchestrator", "cpu", "cuda")
"""Stages that become images."""


@pytest.fixture(scope="module")
def stages():
    """Return the instructions of each stage, by its name, and the image or stage it starts from."""
    found = {}
    with DOCKERFILE.open("rb") as file:
        for each in DockerfileParser(fileobj=file).structure:
            kind, value = each["instruction"], each["value"]
            if kind == "COMMENT":
                continue
            if kind == "FROM":
                start, name = re.fullmatch(r"(\S+) AS (\S+)", value).groups()
                found[name] = (start, [])
            else:
                found[name][1].append((kind, value))
    return found


def inherited(stages, name):
    """Return all instructions that make a stage, those of its parents first."""
    start, own = stages[name]
    return (inherited(stages, start) if start in stages else []) + own


def values(instructions, kind):
    return [value for each, value in instructions if each == kind]


def test_stages(stages):
    assert set(stages) == {"wheel", "base", *FINAL}
    outside = {start for start, _ in stages.values() if start not in stages}
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    for image in outside:
        python, _ = re.fullmatch(r"python:(3\.\d+)-slim-(\w+)", image).groups()
        assert f">={python}" == wanted, "the constraints were made with the oldest Python"


@pytest.mark.parametrize("name", FINAL)
def test_nobody_is_root_in_the_end(stages, name):
    made = inherited(stages, name)
    users = values(made, "USER")
    assert users[-1] == "10001:10001"
    assert any("--uid 10001" in each for each in values(made, "RUN"))
    last = max(at for at, (kind, _) in enumerate(made) if kind == "USER")
    assert not any("pip " in value or "apt-get" in value for kind, value in made[last:])


def test_every_install_is_constrained_and_leaves_no_cache(stages):
    runs = [value for _, own in stages.values() for value in values(own, "RUN")]
    installs = [each for each in runs if "pip install" in each]
    assert len(installs) == 2
    assert all("--constraint constraints.txt" in each for each in installs)
    assert all("--no-cache-dir" in each for each in runs if "pip " in each)
    for each in runs:
        if "apt-get install" in each:
            assert "--no-install-recommends" in each
            assert "apt-get update" in each
            assert "rm -rf /var/lib/apt/lists/*" in each


def test_what_is_not_in_the_constraints_is_pinned(stages):
    (install,) = [each for each in values(stages["orchestrator"][1], "RUN") if "pip " in each]
    constrained = set(re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.M))
    for name in re.findall(r"prefect\S*", install):
        assert "==" in name or name in constrained


def test_what_is_copied_is_there_and_reaches_the_builder(stages):
    lines = (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = set()
    for _, own in stages.values():
        for value in values(own, "COPY"):
            if not value.startswith("--from="):
                copied |= {each.removeprefix("./") for each in value.split()[:-1]}
    assert copied == allowed
    assert all((ROOT / each).exists() for each in copied)


def test_the_wheel_has_all_that_the_build_names(stages):
    copied = " ".join(values(stages["wheel"][1], "COPY")).split()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    build = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        *build["packages"],
        project["project"]["readme"],
        *project["project"]["license-files"],
    }
    assert needed <= set(copied)


@pytest.mark.parametrize("name", FINAL)
def test_commands_are_lists(stages, name):
    """A shell in between would keep the signals of a stopping container to itself."""
    assert all(each.startswith("[") for each in values(inherited(stages, name), "CMD"))


def test_no_instruction_is_dangerous(stages):
    made = [each for _, own in stages.values() for each in own]
    assert not values(made, "ADD")
    assert not values(made, "VOLUME")
    text = DOCKERFILE.read_text()
    assert not re.search(r"curl[^\n]*\|\s*sh|sudo|chmod\s+(-R\s+)?777|:latest", text)
    assert not re.search(r"https?://", text), "registries are named by whoever builds"
    secret = re.compile(r"(?i)password|secret|token|_key")
    assert not any(secret.search(each) for each in values(made, "ENV") + values(made, "ARG"))
