"""What the forge runs is what a developer runs: the workflows call targets of the Makefile and nothing else."""

import itertools
import re
import runpy
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def commands(workflow: Path) -> list[str]:
    """Return what a workflow runs, with every value of its matrix put in."""
    found = []
    for job in yaml.safe_load(workflow.read_text())["jobs"].values():
        matrix = dict(job.get("strategy", {}).get("matrix", {}))
        more = matrix.pop("include", [])
        rows = [
            dict(zip(matrix, row, strict=True)) for row in itertools.product(*matrix.values())
        ]
        for step, row in itertools.product(job["steps"], [*rows, *more]):
            text = step.get("run", "")
            found.append(
                re.sub(r"\$\{\{ matrix\.(\w+) \}\}", lambda key, row=row: row[key[1]], text)
            )
    return [each for each in found if each]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_call_make_targets_and_nothing_else(workflow):
    called = commands(workflow)
    assert called
    for each in called:
        make, target, *settings = each.split()
        assert make == "make"
        assert target in TARGETS
        assert all("=" in setting for setting in settings)


def test_every_python_of_the_classifiers_is_checked():
    text = (ROOT / "pyproject.toml").read_text()
    wanted = set(re.findall(r"Python :: (3\.\d+)", text))
    for workflow in WORKFLOWS:
        (job,) = yaml.safe_load(workflow.read_text())["jobs"].values()
        assert set(job["strategy"]["matrix"]["python"]) == wanted


def test_hooks_run_what_make_runs():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    makefile = (ROOT / "Makefile").read_text().replace("$(BIN)", ".venv/bin")
    for hook in hooks:
        tool = hook["entry"].split()[0]
        assert tool in makefile


LISTING = """\
:env:.find-links='/one /two'
global.cert='/etc/cert.pem'
global.extra-index-url='\\nfile:///first/simple\\nfile:///second/simple'
global.find-links='/other'
install.index-url='https://example.org/simple'
download.no-binary=':all:'
"""


def test_uv_looks_where_pip_is_told_to_look():
    variables = runpy.run_path(str(ROOT / ".ci/install.py"))["variables"]
    assert variables(LISTING) == {
        "UV_DEFAULT_INDEX": "https://example.org/simple",
        "UV_INDEX": "file:///first/simple file:///second/simple",
        "UV_FIND_LINKS": "/one,/two",
        "SSL_CERT_FILE": "/etc/cert.pem",
    }
    assert variables("") == {}
    with pytest.raises(ValueError, match="no-binary"):
        variables(LISTING + "global.no-binary=':all:'\n")
