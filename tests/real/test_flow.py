"""The command line and the Prefect flow on real scenes: what the plain run gave, to the bit."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline import config, store

ENVIRONMENT = ("PREFECT_", "CLOUDMASK_")


@pytest.fixture
def cloudmask(tmp_path):
    """Run the command in a process of its own: Prefect reads its environment when it is imported."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT)
    }
    environment = inherited | {"PREFECT_HOME": str(tmp_path / "prefect")}
    program = "import sys; from pipeline.cli import main; sys.exit(main())"

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=580,
            check=False,
        )

    return call


@pytest.mark.slow
def test_the_flow_gives_what_the_plain_run_gave(cloudmask, lake, tmp_path):
    job = tmp_path / "lake.yaml"
    document = config.dump_job(lake.job) | {"store": "flow-store"}
    job.write_text(yaml.safe_dump(document), encoding="utf-8")
    done = cloudmask("run", job.name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert Path(tmp_path / "lake-report.html").stat().st_size > 10_000

    plain, flow = lake.archive, store.open_archive(str(tmp_path / "flow-store"))
    assert flow.sensors == plain.sensors
    for sensor in plain.sensors:
        np.testing.assert_array_equal(flow.masks(sensor)["mask"], plain.masks(sensor)["mask"])
        np.testing.assert_array_equal(
            flow.masks(sensor)["fingerprint"], plain.masks(sensor)["fingerprint"]
        )
    names = [name for name in plain.composite("all").data_vars if name != "spatial_ref"]
    for name in names:
        np.testing.assert_array_equal(flow.composite("all")[name], plain.composite("all")[name])

    again = cloudmask("run", job.name)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "up to date" in again.stdout
