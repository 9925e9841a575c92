"""The public face: small, sorted, and nothing is imported before it is used."""

import subprocess
import sys

import cloudmask

QUICK = """
import sys, time
began = time.process_time()
import cloudmask
spent = time.process_time() - began
heavy = {"torch", "xarray", "zarr", "dask", "rasterio", "pipeline.run"} & set(sys.modules)
print(spent, *sorted(heavy))
"""


def test_importing_it_imports_nothing_else():
    ran = subprocess.run(
        [sys.executable, "-c", QUICK], capture_output=True, text=True, check=True
    )
    spent, *heavy = ran.stdout.split()
    assert heavy == []
    assert float(spent) < 0.1


def test_every_name_is_there_sorted_and_described():
    names = list(cloudmask.__all__)
    assert names == sorted(names)
    for name in names:
        assert getattr(cloudmask, name).__doc__, name
    assert cloudmask.__version__.count(".") == 2
