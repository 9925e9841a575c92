"""What stands in files for others to read is what the code says."""

import datetime
import json
import uuid
from pathlib import Path

import pytest
import sqlalchemy
import yaml
from prefect.server.database import orm_models
from sqlalchemy.orm import Session

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


def test_the_scheduler_of_prefect_can_insert_runs():
    """With SQLAlchemy 2.1 it could not, and no schedule ever fired; a missing table is as far as it gets."""
    row = {"flow_id": uuid.uuid4(), "name": "x", "estimated_run_time": datetime.timedelta(0)}
    with (
        Session(sqlalchemy.create_engine("sqlite://")) as session,
        pytest.raises(sqlalchemy.exc.OperationalError, match="no such table"),
    ):
        session.execute(sqlalchemy.insert(orm_models.FlowRun), [row])
