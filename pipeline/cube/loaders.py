"""``cube.loader``: which library turns an item into reads. Pixels come from `reader` either way.

- ``odc-stac`` parses the item once (`pipeline.cube.layers`): of each role it finds the raster and band to read.
  The reader is then called for every raster of a block. ``odc.stac.load`` is not used: it would parse the item and
  build a dataset for every block, 3 ms each, a tenth of the reading.
- ``stackstac`` lays the item out as a Dask array over the block, and calls the reader for its windows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import dask.local
import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline.cube.blocks.raster import BlockRaster
from pipeline.cube.layers import ItemLayer
from pipeline.cube.raster_pixels import Reflectance, put_numbers
from pipeline.cube.reader import ExactReader, shrink_of
from pipeline.cube.unfit import MARGIN_PX, Found
from pipeline.cube.windows import Overview, needed_of, shared_positions
from pipeline.errors import ConfigError
from pipeline.types import CubeSettings, Grid

IN_THIS_THREAD = dask.local.get_sync
"""Computes Dask's graphs at once. By its name, ``synchronous``, Dask would first import distributed, to look for a client."""

Loader = Callable[[ItemLayer, Sequence[str], GeoBox, Found, NDArray[np.float32]], bool]
"""(layer, roles, block of the grid, record of unfit numbers, (role, y, x) to fill): reflectance, NaN = no data. Returns
whether all pixels surely have data."""


class _Filler(ExactReader):
    """Reads windows of one asset as reflectance, into place."""

    def fill(self, geobox: GeoBox, into: Reflectance) -> bool:
        """Read a geobox as `pixels` does; return whether all pixels surely have data.

        Where the geobox has the raster's own pixels, all of them fit, they go straight from decoded blocks into place.

        Raises
        ------
        AssetError, AssetUnavailableError
            As of `pixels`.
        """
        marked = self._marked(geobox)
        if not marked:
            done = self._ask(partial(self._put, geobox=geobox, into=into))
            if isinstance(done, Overview):
                put = partial(self._put_from, geobox=geobox, margin_px=MARGIN_PX, into=into)
                done = self._ask(put, done.level)
            if done is not None:
                return done
        into.put(self._noted(geobox, None, self._read_pixels(geobox, marked)))
        return False

    def _put(
        self, raster: BlockRaster, geobox: GeoBox, into: Reflectance
    ) -> bool | Overview | None:
        """Fill a geobox if it has the raster's own pixels, or return the overview that has them."""
        self._check(raster)
        shrink = shrink_of(raster, geobox)
        overview = None if self._facts.nearest else self._overview(raster, shrink)
        if overview is not None:
            return overview if overview.shrink == 1 else None
        return self._put_from(raster, geobox, 0, into) if shrink == 1 else None

    def _put_from(
        self, raster: BlockRaster, geobox: GeoBox, margin_px: int, into: Reflectance
    ) -> bool | None:
        needed = needed_of(raster.geobox, geobox)
        if needed is None or needed.positions is not None:
            return None
        return put_numbers(raster, self._src.band, self._facts, needed, margin_px, into)


def _with_odc_stac(
    layer: ItemLayer,
    roles: Sequence[str],
    geobox: GeoBox,
    found: Found,
    target: NDArray[np.float32],
) -> bool:
    """Read the rasters that odc-stac found when it parsed the item."""
    sources = [layer.sources[role] for role in roles]
    readers = [_Filler(each, layer.facts[each.uri], found) for each in sources]
    order = _turned(geobox, len(roles))
    remote = [index for index in order[1:] if readers[index].is_remote]
    full = True
    with shared_positions(), ExitStack() as held:
        fetched = dict[int, Future[None]]()
        if remote:
            # Servers are asked for all bands at once.
            pool = held.enter_context(ThreadPoolExecutor(len(remote)))
            fetched = {index: pool.submit(readers[index].fetch, geobox) for index in remote}
        for index in order:
            if index in fetched:
                fetched[index].result()
            into = Reflectance(layer.scale[index], layer.offset[index], target[index])
            full &= readers[index].fill(geobox, into)
    return full


def _turned(geobox: GeoBox, size: int) -> list[int]:
    """Return the numbers below a size, in each block from another one on, lest all threads wait for the same raster."""
    (rows, cols), place = geobox.shape, geobox.transform
    steps = (cols * (abs(place.a) + abs(place.b)), rows * (abs(place.d) + abs(place.e)))
    first = round(place.c / steps[0]) - round(place.f / steps[1])
    return [(first + each) % size for each in range(size)]


def _with_stackstac(
    layer: ItemLayer,
    roles: Sequence[str],
    geobox: GeoBox,
    found: Found,
    target: NDArray[np.float32],
) -> bool:
    """Read by stackstac 0.5.

    By default stackstac reads only ``proj:epsg``, guesses and snaps a grid, and applies scale and offset; here the grid
    is given and the rest switched off.
    """
    _require_stackstac(geobox)
    import stackstac  # noqa: PLC0415  (an extra)

    from pipeline.cube.stackstac_reader import BlockReader  # noqa: PLC0415

    assert geobox.crs is not None
    projection = {"proj:epsg": geobox.crs.epsg, "proj:bbox": list(geobox.boundingbox)}
    document = layer.item.to_dict(include_self_link=False, transform_hrefs=False)
    document["properties"] |= projection
    loaded = stackstac.stack(
        [document],
        assets=list(roles),
        epsg=geobox.crs.epsg,
        resolution=(abs(geobox.resolution.x), abs(geobox.resolution.y)),
        bounds=tuple(geobox.boundingbox),
        snap_bounds=False,
        dtype=np.dtype("float32"),
        fill_value=np.float32(np.nan),
        rescale=False,
        chunksize=-1,
        xy_coords=False,
        properties=False,
        band_coords=False,
        reader=functools.partial(BlockReader, facts=layer.facts, geobox=geobox, found=found),
    )
    with shared_positions():
        numbers = loaded.data.compute(scheduler=IN_THIS_THREAD)[0]
    np.multiply(numbers, layer.scale, out=target)
    target += layer.offset
    return False


def require_loader(settings: CubeSettings, grid: Grid) -> None:
    """Make sure that the loader of a job is installed and can read for its grid.

    Raises
    ------
    ConfigError
        It is not, or cannot.
    """
    if settings.loader == "stackstac":
        _require_stackstac(grid.geobox)


def _require_stackstac(geobox: GeoBox) -> None:
    try:
        import stackstac  # noqa: F401, PLC0415  (an extra)
    except ImportError as error:
        raise ConfigError(
            "cube.loader is stackstac, which is not installed; "
            "install cloudmask[stackstac], or take odc-stac"
        ) from error
    if geobox.crs is None or geobox.crs.epsg is None:
        raise ConfigError(
            "cube.loader stackstac reads only grids whose CRS has an EPSG code; "
            f"grid.crs is {geobox.crs}; take odc-stac, or a CRS with a code"
        )


LOADERS: Mapping[str, Loader] = {"odc-stac": _with_odc_stac, "stackstac": _with_stackstac}
"""Loaders by their names in ``cube.loader`` of a job."""
