"""Which items touch which tiles: a spatial index, so that the work grows with items, not items × tiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pystac
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from shapely.geometry.base import BaseGeometry

from pipeline.cube.metadata.outlines import LONLAT
from pipeline.mask import read_geobox
from pipeline.types import Lattice, footprint

EDGE_DEG = 0.1
"""Longest edge of a footprint that is reprojected by its ends alone."""


def read_boxes(lattice: Lattice, wide: Sequence[GeoBox]) -> NDArray[np.object_]:
    """Return the rectangles that are read to mask tiles, in the CRS of the grid.

    Parameters
    ----------
    lattice
        Of the model.
    wide
        What is masked for each tile: see `pipeline.run.common.mask_pixels`.
    """
    bounds = [tuple(read_geobox(lattice, each).boundingbox) for each in wide]
    boxes: NDArray[np.object_] = shapely.box(*np.array(bounds).reshape(-1, 4).T)
    return boxes


def touching(
    outlines: Sequence[BaseGeometry | None], boxes: NDArray[np.object_]
) -> NDArray[np.int64]:
    """Return (2, N) pairs of positions, (outline, box), that touch; an unknown outline touches all boxes."""
    known = np.array(
        [position for position, each in enumerate(outlines) if each is not None], int
    )
    drawn = np.array([outlines[p] for p in known], object)
    found = shapely.STRtree(boxes).query(drawn, predicate="intersects")
    unknown = np.setdiff1d(np.arange(len(outlines)), known)
    everywhere = np.array(
        [np.repeat(unknown, len(boxes)), np.tile(np.arange(len(boxes)), len(unknown))]
    )
    pairs: NDArray[np.int64] = np.concatenate(
        [np.array([known[found[0]], found[1]]), everywhere], axis=1
    ).astype(np.int64)
    return pairs


def rough_outlines(items: Sequence[pystac.Item], crs: str) -> list[BaseGeometry | None]:
    """Return the geometry that items state, in a CRS; None of an item that states none.

    For items that cannot be used, of known collections or not: no header or table is needed.
    """
    found: list[BaseGeometry | None] = []
    for item in items:
        claimed = footprint(item)
        if claimed is None:
            found.append(None)
            continue
        outline = Geometry(claimed, LONLAT).to_crs(crs, resolution=EDGE_DEG).geom
        found.append(outline if np.isfinite(outline.bounds).all() else None)
    return found
