"""What stands in files for others to read is what the code says."""

import ast
import json
from pathlib import Path

import yaml

from pipeline.config import job_schema

ROOT = Path(__file__).parents[2]


def test_the_committed_schema_is_the_code_s():
    assert json.loads((ROOT / "docs/job.schema.json").read_text()) == job_schema()


def test_the_readme_s_job_file_is_valid(tmp_path):
    from pipeline.config import parse_job  # noqa: PLC0415  (kept beside its only use)

    readme = (ROOT / "README.md").read_text()
    example = readme.split("```yaml\n")[1].split("```")[0]
    job = parse_job(yaml.safe_load(example), base=tmp_path)
    assert job.grid.tile_px == 2048
    assert job.store == str(tmp_path / "store")


def test_deployments_name_flows_that_are_there_and_parameters_that_they_take():
    file = yaml.safe_load((ROOT / "deploy/prefect.yaml").read_text())
    for deployment in file["deployments"]:
        path, name = deployment["entrypoint"].split(":")
        tree = ast.parse((ROOT / path).read_text())
        (flow,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
        assert set(deployment["parameters"]) <= {argument.arg for argument in flow.args.args}
        assert all(len(each["cron"].split()) == 5 for each in deployment["schedules"])
