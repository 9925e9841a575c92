"""The grid and the format of a store, as attributes of its root."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any

import zarr

from pipeline.errors import StoreError
from pipeline.types import Grid

FORMAT = "cloudmask-archive"
FORMAT_VERSION = 2
"""What is written; see docs/format.md."""
READABLE = (1, FORMAT_VERSION)

log = logging.getLogger(__name__)


def grid_attributes(grid: Grid) -> dict[str, Any]:
    """Write a grid as JSON values."""
    crs = grid.geobox.crs
    assert crs is not None, "a grid has a CRS"
    return {
        "crs": str(crs),
        "crs_wkt": crs.to_wkt(),
        "resolution_m": grid.resolution_m,
        "affine": list(grid.geobox.transform)[:6],
        "shape": list(grid.geobox.shape),
        "tile_px": grid.tile_px,
        "chunk_px": grid.chunk_px,
    }


def grid_from(attributes: Mapping[str, Any]) -> Grid:
    """Read a grid; the inverse of `grid_attributes`."""
    from affine import Affine  # noqa: PLC0415 -- not every reader needs pixels
    from odc.geo.geobox import GeoBox  # noqa: PLC0415 -- brings pyproj and Dask along

    geobox = GeoBox(
        tuple(attributes["shape"]), Affine(*attributes["affine"]), attributes["crs"]
    )
    return Grid(geobox=geobox, tile_px=attributes["tile_px"], chunk_px=attributes["chunk_px"])


def grid_of(root: zarr.Group, where: str) -> Grid:
    """Return the grid of a store; raises as `require_ours` does."""
    require_ours(root, where)
    attributes = root.attrs["grid"]
    assert isinstance(attributes, Mapping)
    return grid_from(attributes)


def require_ours(root: zarr.Group, where: str) -> None:
    """Refuse what this version cannot read.

    Raises
    ------
    StoreError
        It is not a store of ours, or of a later version.
    """
    if root.attrs.get("format") != FORMAT:
        raise StoreError(f"{where} is an Icechunk repository, but no archive of cloudmask")
    version = format_of(root)
    if version not in READABLE:
        raise StoreError(
            f"{where} has format {version}, this cloudmask reads {READABLE[0]} to {READABLE[-1]}: "
            "use the version of cloudmask that wrote it, or a later one"
        )


def format_of(root: zarr.Group) -> Any:  # noqa: ANN401 -- JSON
    """Return the number of the format of a store."""
    return root.attrs.get("format_version")


def require_current_format(root: zarr.Group, where: str) -> None:
    """Check that a store has the format that is written today.

    Raises
    ------
    StoreError
        It has an older one, and pixels: the two would stand side by side and mean different things.
    """
    version = format_of(root)
    if version != FORMAT_VERSION and any(True for _ in root.groups()):
        raise StoreError(
            f"the store {where} has format {version}, which can be read, but not be written any more "
            f"(this cloudmask writes {FORMAT_VERSION}): name a new store folder in the job, and run "
            "again; docs/format.md says what changed"
        )


def differences(stored: Grid, wanted: Grid) -> list[str]:
    """Say in words where two grids differ; empty if they are one."""
    old, new = grid_attributes(stored), grid_attributes(wanted)
    # Two spellings of one CRS are no difference.
    if stored.geobox.crs == wanted.geobox.crs:
        old["crs"], old["crs_wkt"] = new["crs"], new["crs_wkt"]
    shown = (name for name in old if name != "crs_wkt" or old["crs"] == new["crs"])
    differing = [
        f"{name} is {old[name]}, the job has {new[name]}"
        for name in shown
        if old[name] != new[name]
    ]
    if stored.resolution_m == wanted.resolution_m and stored.corner != wanted.corner:
        one, other = ("[{:g}, {:g}]".format(*each.corner) for each in (stored, wanted))
        differing.insert(0, f"its grid.anchor is {one}, the job's {other}")
    return differing


def same_grid(root: zarr.Group, wanted: Grid, where: str) -> bool:
    """Compare the grid of a store with a job's.

    Returns
    -------
    True if they are one and the format is today's; false if not, but nothing is stored yet.

    Raises
    ------
    StoreError
        They differ and the store has pixels, or its pixels are of an older format.
    """
    differing = differences(grid_of(root, where), wanted)
    require_current_format(root, where)
    if differing and any(True for _ in root.groups()):
        raise StoreError(
            f"the store {where} has another grid: {'; '.join(differing)}. "
            "Use another store, or the old grid"
        )
    return not differing and format_of(root) == FORMAT_VERSION


@cache
def warn_once(url: str, version: int) -> None:
    """Warn that a store has an older format, once a process."""
    log.warning(
        "the store %s has format %s, older than this cloudmask, which writes %s: it is read as it is, "
        "without checksums (damage may not show) and with one scene a day; to have all that is new, "
        "run the job into a new store folder (docs/format.md)",
        url,
        version,
        FORMAT_VERSION,
    )
