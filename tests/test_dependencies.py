"""Every cap of pyproject.toml has a reason, and each reason still holds: a test that fails here says which cap can go."""

import hashlib
import importlib.metadata
import importlib.util
import re
import tomllib
from functools import partial
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "pyproject.toml").read_text()
PROJECT = tomllib.loads(TEXT)["project"]


def capped() -> list[str]:
    """Return the names of the dependencies that newer versions are kept from."""
    lines = chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    return sorted(
        {
            found.name
            for found in map(Requirement, lines)
            if any(each.operator not in (">=", ">", "!=") for each in found.specifier)
        }
    )


def source(module: str, *below: str) -> str:
    """Return the text of an installed module; it is not imported."""
    spec = importlib.util.find_spec(module)
    return Path(spec.submodule_search_locations[0], *below).read_text()


def python_3_11_is_supported() -> bool:
    return "3.11" in SpecifierSet(PROJECT["requires-python"])


def prefect_builds_bodies_with_min_items() -> bool:
    return "Body(..., min_items=" in source("prefect", "server/api/concurrency_limits_v2.py")


def prefect_inserts_a_hybrid_property() -> bool:
    """Rows of scheduled runs carry `state`, which is no column of the table that they go into."""
    models = source("prefect", "server/models/deployments.py")
    tables = source("prefect", "server/database/orm_models.py")
    run = tables.partition("class FlowRun(")[2].partition("\nclass ")[0]
    return (
        "db.queries.insert(db.FlowRun)" in models
        and '**r["state"]' in models
        and re.search(r"@hybrid_property\s+def state\(", run) is not None
    )


def icechunk_passes_what_xarray_removed() -> bool:
    writer = source("icechunk", "xarray.py")
    return '"synchronizer": None' in writer or '"zarr_version": None' in writer


def wheel_holds_the_networks_that_are_pinned() -> bool:
    from pipeline.models.weights.ukis_csmask import FILES, package_folder  # noqa: PLC0415

    found = {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in package_folder().rglob("*.onnx")
    }
    return {each.onnx_sha256 for each in FILES.values()} <= found


def any_prefect_cap_holds() -> bool:
    return prefect_builds_bodies_with_min_items() or prefect_inserts_a_hybrid_property()


def schemas_of_the_manifests() -> bool:
    return "1.37" in (ROOT / "tests/deploy/test_kubernetes.py").read_text()


def is_an_oracle(package: str) -> bool:
    """Say whether a test compares ours with it."""
    tests = (ROOT / "tests").rglob("test_*.py")
    return any(f'importorskip("{package}"' in test.read_text() for test in tests)


REASONS = {
    "fastapi": prefect_builds_bodies_with_min_items,
    "geomad": partial(is_an_oracle, "geomad"),
    "icechunk": python_3_11_is_supported,
    "kubernetes-validate": schemas_of_the_manifests,
    "omnicloudmask": partial(is_an_oracle, "omnicloudmask"),
    "prefect": any_prefect_cap_holds,
    "sqlalchemy": prefect_inserts_a_hybrid_property,
    "ukis-csmask": wheel_holds_the_networks_that_are_pinned,
    "xarray": icechunk_passes_what_xarray_removed,
    "zarr": python_3_11_is_supported,
}
"""Capped dependency -> whether the reason of its cap still holds, asked of what is installed."""


def test_every_cap_has_a_check():
    assert capped() == sorted(REASONS)


@pytest.mark.parametrize("name", capped())
def test_a_comment_above_the_cap_gives_the_reason(name):
    lines = TEXT.splitlines()
    at = next(n for n, line in enumerate(lines) if re.match(rf'  "{name}\W', line))
    assert lines[at - 1].lstrip().startswith("# "), f"{name}: why is it capped?"


@pytest.mark.parametrize("name", capped())
def test_the_reason_still_holds(name):
    assert REASONS[name](), (
        f"nothing speaks against a newer {name} any more: lift its cap in pyproject.toml"
    )


def test_what_is_pinned_installs_on_the_oldest_python_that_is_promised():
    """A pin that needed 3.11.5 stopped `make demo` on Debian 12, which has 3.11.2."""
    oldest = next(iter(SpecifierSet(PROJECT["requires-python"]))).version + ".0"
    wanted = {
        each.name: each.metadata.get("Requires-Python") or ""
        for each in importlib.metadata.distributions()
    }
    assert len(wanted) > 100
    assert [name for name, needs in wanted.items() if oldest not in SpecifierSet(needs)] == []
