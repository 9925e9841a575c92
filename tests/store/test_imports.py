"""A command that only looks something up in a store starts at once."""

import subprocess
import sys

READ = """
import sys
from pipeline import store
archive = store.open_archive(sys.argv[1])
archive.log(), archive.records(), archive.searched(), archive.scene_rows(), archive.mask_fingerprints("sentinel-2")
heavy = {"dask.array", "distributed", "pandas", "rasterio", "requests", "torch", "xarray"}
print(*sorted(heavy & set(sys.modules)))
"""


def test_reading_what_is_no_pixel_imports_nothing_heavy(path, put_filled):
    put_filled(path)
    done = subprocess.run(
        [sys.executable, "-c", READ, path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
