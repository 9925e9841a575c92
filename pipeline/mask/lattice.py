"""Where inference windows sit, in whole pixels counted from the origin of the CRS.

Most masking networks see their whole window (squeeze-excite, attention, normalisation by the
window's own mean), so no halo makes "cut into chunks" equal "whole": only windows that never move
do. Cores tile the plane from the CRS origin; a rectangle is masked by all windows whose cores it
touches, whatever tile, chunk or region it belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass

from affine import Affine
from odc.geo.geobox import GeoBox

from pipeline.errors import GridError
from pipeline.types import Lattice


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """The cores that a rectangle touches."""

    top: int
    left: int
    """First pixel of the first core, counted down and right from the CRS origin."""
    rows: int
    cols: int
    """Number of cores."""


def cover(lattice: Lattice, top: int, left: int, shape: tuple[int, int]) -> Cover:
    """Return the smallest block of whole cores that holds a rectangle.

    Parameters
    ----------
    lattice
        Size of the cores.
    top, left
        First pixel of the rectangle, counted from the CRS origin, y down.
    shape
        (height, width) of the rectangle in pixels, each at least 1.
    """
    core = lattice.core_px
    first_row, first_col = top // core, left // core
    last_row, last_col = (top + shape[0] - 1) // core, (left + shape[1] - 1) // core
    return Cover(
        top=first_row * core,
        left=first_col * core,
        rows=last_row - first_row + 1,
        cols=last_col - first_col + 1,
    )


def origin_px(geobox: GeoBox) -> tuple[int, int]:
    """Return a geobox's (top, left) pixel counted from the CRS origin, y down.

    Raises
    ------
    GridError
        The geobox is rotated or does not lie on whole pixels from the origin.
    """
    transform = geobox.transform
    top, left = -transform.f / -transform.e, transform.c / transform.a
    whole = (round(top), round(left))
    if transform.b or transform.d or max(abs(top - whole[0]), abs(left - whole[1])) > 1e-6:
        raise GridError(
            f"a grid of {transform.a} m pixels that starts at ({transform.c}, {transform.f}) is "
            "not anchored on the CRS origin; expected its edges on whole pixels"
        )
    return whole


def geobox_cover(lattice: Lattice, geobox: GeoBox) -> Cover:
    """Return the cores that a geobox touches."""
    top, left = origin_px(geobox)
    return cover(lattice, top, left, (geobox.shape.y, geobox.shape.x))


def read_geobox(lattice: Lattice, geobox: GeoBox) -> GeoBox:
    """Return what must be read to mask a geobox: all windows of the cores that it touches."""
    held = geobox_cover(lattice, geobox)
    top, left = origin_px(geobox)
    halo, core = lattice.halo_px, lattice.core_px
    shape = (held.rows * core + 2 * halo, held.cols * core + 2 * halo)
    shift = Affine.translation(held.left - halo - left, held.top - halo - top)
    return GeoBox(shape, geobox.transform @ shift, geobox.crs)
