"""A raster whose header and decoded blocks are cached: it is opened only for blocks that are not."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from odc.geo.gcp import GCPGeoBox
from odc.geo.geobox import GeoBox
from rasterio.io import DatasetReader

from pipeline import access
from pipeline.cost import METER, BusyTime
from pipeline.cube import datasets
from pipeline.cube.blocks.headers import (
    HEADERS,
    Header,
    file_version,
    header_of,
    kept_header,
)
from pipeline.cube.blocks.memory import Block, BlockMemory, Seen
from pipeline.cube.blocks.remote import Entries, disk
from pipeline.cube.blocks.units import (
    Part,
    Shape,
    Soon,
    Span,
    Unit,
    copy_part,
    part_of,
    place,
    rectangles,
    units,
)
from pipeline.cube.opening import (
    VERSIONS,
    AssetRef,
    admitted,
    attempt,
    forget_raster,
    lent,
    pooled,
    present_version,
)
from pipeline.types import Cost

T = TypeVar("T")

MEMORY_BYTES = 3 * 2**25
"""Decoded blocks of all rasters in this process. With GDAL's own cache (`pipeline.cube.gdal`) 128 MiB."""

BLOCKS = BlockMemory(MEMORY_BYTES)

BESIDE_BYTES = MEMORY_BYTES // 6
"""Most that is decoded for a window of a band with what lies beside it: rows of blocks of six bands are kept."""

AHEAD_BYTES = BESIDE_BYTES // 2
"""Most of a band that is decoded before it is wanted, whose blocks stay longer: six bands of two scenes are kept."""


READING = BusyTime(
    lambda wall, cpu: METER.add(Cost(reading_seconds=wall, decoding_cpu_seconds=cpu))
)

SEEN = Seen(2**18)
"""Which blocks this process has decoded, to tell how many it decoded again."""


class BlockRaster:
    """A raster, or one of its overviews, made of cached blocks.

    It is opened when its header, or a block of a window, is not cached, by one thread at a time for each block.
    """

    def __init__(self, opening: access.Opening, level: int | None, href: str) -> None:
        self._opening, self._level, self._href = opening, level, href
        self._version = file_version(opening)
        self._header = HEADERS.get((opening.path, level, self._version), self._asked)

    @property
    def geobox(self) -> GeoBox:
        """Where it lies.

        Raises
        ------
        TypeError
            It has no transform.
        """
        geobox = self._header.geobox
        if isinstance(geobox, GCPGeoBox):
            raise TypeError("it is placed by ground control points, not by a transform")
        return geobox

    @property
    def is_remote(self) -> bool:
        """Whether it lies on a server."""
        return self._opening.host is not None

    @property
    def has_crs(self) -> bool:
        """Whether it states a CRS."""
        return self._header.has_crs

    @property
    def shape(self) -> Shape:
        """Rows and columns."""
        return self._header.shape

    @property
    def count(self) -> int:
        """Number of its bands."""
        return self._header.count

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what a function of this raster's header returns, computed for the first who asks."""
        notes = self._header.notes
        if key not in notes:
            notes[key] = compute()
        made: T = notes[key]
        return made

    def overviews(self, band: int) -> Sequence[int]:
        """Return the decimation factor of each overview; looking for them may cost requests."""
        factors = self._header.factors
        if band not in factors:
            factors[band] = self._with(lambda raster: datasets.overviews(raster, band))
            self._header.keep()
        return factors[band]

    def read(self, band: int, window: Part, soon: Soon | None = None) -> NDArray[Any]:
        """Read the pixels ((top, bottom), (left, right)) of a band, all of them inside the raster.

        Parameters
        ----------
        band
            Which, from 1.
        window
            Which pixels.
        soon
            What will be wanted beside it; None: not known.

        Returns
        -------
        (y, x) numbers in the raster's own dtype; maybe read-only.
        """
        header = self._header
        if header.unit is None:
            whole: NDArray[Any] = self._with(lambda raster: raster.read(band, window=window))
            return whole
        keys = {(header, band, at): at for at in units(window, header.unit)}
        beside = self._beside(band, window, soon)
        blocks = BLOCKS.get(list(keys), partial(self._decoded, band), beside)
        if len(keys) == 1:
            ((key, at),) = keys.items()
            return part_of(blocks[key], window, place(at, header.unit, header.shape))
        numbers = np.empty([last - first for first, last in window], header.dtypes[band - 1])
        for key, at in keys.items():
            copy_part(numbers, window, blocks[key], place(at, header.unit, header.shape))
        return numbers

    def fetch(self, band: int, window: Part, soon: Soon | None = None) -> None:
        """Decode what `read` will need of a raster on a server, if it is not too much to be kept until then."""
        keys = self._keys(band, window, AHEAD_BYTES)
        if keys:
            decode = partial(self._decoded, band)
            BLOCKS.get(keys, decode, self._beside(band, window, soon))

    def _beside(self, band: int, window: Part, soon: Soon | None) -> Sequence[Hashable]:
        """Return the keys of what is decoded with a window."""
        if soon is None:
            return ()
        # All rows at once: GDAL takes rows that are asked for one after another for a file read in sequence, and
        # fetches twice what it is asked for.
        every = self._keys(band, soon.part, AHEAD_BYTES)
        if every or not soon.in_rows:
            return every
        return self._keys(band, (window[0], soon.part[1]), BESIDE_BYTES)

    def _keys(self, band: int, window: Part, most_bytes: int) -> Sequence[Hashable]:
        """Return the keys of a window of a raster on a server, if its blocks have at most so many bytes."""
        header = self._header
        if self._opening.host is None or header.unit is None:
            return ()
        keys = [(header, band, at) for at in units(window, header.unit)]
        itemsize = np.dtype(header.dtypes[band - 1]).itemsize
        fits = len(keys) * math.prod(header.unit) * itemsize <= most_bytes
        return keys if fits else ()

    def _decoded(self, band: int, keys: Sequence[Hashable]) -> Mapping[Hashable, Block]:
        wanted: list[Unit] = [key[2] for key in keys]  # type: ignore[index]
        found = self._header.kept_blocks(band, wanted)
        missing = [at for at in wanted if at not in found]
        if missing:
            with READING.taken():
                made = self._with(partial(self._blocks, band, missing))
            self._header.keep_blocks(band, made)
            found |= made
        again = SEEN.note([(self._opening.path, self._level, band, at) for at in missing])
        METER.add(
            Cost(
                blocks_decoded=len(missing),
                blocks_again=again,
                blocks_from_disk=len(wanted) - len(missing),
            )
        )
        return {(self._header, band, at): block for at, block in found.items()}

    def _blocks(
        self, band: int, wanted: Sequence[Unit], raster: DatasetReader
    ) -> dict[Unit, Block]:
        header, blocks = self._header, dict[Unit, Block]()
        assert header.unit is not None
        shapes = rectangles(wanted) if self._opening.host else map(_alone, wanted)
        for rows, cols in shapes:
            (top, _), (left, _) = place((rows[0], cols[0]), header.unit, header.shape)
            (_, bottom), (_, right) = place(
                (rows[1] - 1, cols[1] - 1), header.unit, header.shape
            )
            read = raster.read(band, window=((top, bottom), (left, right)))
            for at in ((row, col) for row in range(*rows) for col in range(*cols)):
                (first, end), (start, stop) = place(at, header.unit, header.shape)
                block = read[first - top : end - top, start - left : stop - left]
                # A copy, lest a block hold the memory of all.
                block = block if block.shape == read.shape else block.copy()
                block.flags.writeable = False
                blocks[at] = block
        return blocks

    def _asked(self) -> Header:
        if self._opening.host is None or disk() is None:
            with lent(self._opening, self._level, self._version) as raster:
                return header_of(raster)
        with admitted(self._opening):
            return self._known()

    def _known(self) -> Header:
        """Return the header of the raster's present version, from disk or from the raster."""
        found = present_version(self._opening.path)
        entries = None if found is None else Entries.of(self._href, found, self._level)
        if entries is not None and (kept := kept_header(entries)):
            return kept
        with pooled(self._opening, self._level) as raster:
            made = header_of(raster, entries)
        made.keep()
        return made

    def _with(self, use: Callable[[DatasetReader], T]) -> T:
        with lent(self._opening, self._level, self._version) as raster:
            self._require_version()
            return use(raster)

    def _require_version(self) -> None:
        """Refuse a raster that is known to be another than when its header was read; a later attempt reads that one."""
        entries, known = self._header.entries, VERSIONS.get(self._opening.path)
        if entries is None or known is None:
            return
        now = None if known[0] is None else Entries.of(self._href, known[0], self._level)
        if disk() is not None and (now is None or now.prefix != entries.prefix):
            raise OSError("it was replaced while it was read")


def read_blocks(
    ref: AssetRef, use: Callable[[BlockRaster], T], *, overview_level: int | None = None
) -> T:
    """Call a function with a raster that reads from cached blocks; otherwise as `opening.read_asset`.

    Raises
    ------
    AssetError, AssetUnavailableError
        As of `opening.read_asset`.
    """
    return attempt(ref, partial(_used, use, overview_level, ref.href))


def _used(
    use: Callable[[BlockRaster], T], level: int | None, href: str, opening: access.Opening
) -> T:
    try:
        return use(BlockRaster(opening, level, href))
    except Exception:
        if opening.host is not None:
            HEADERS.drop(opening.path)
            forget_raster(opening.path)
        raise


def _alone(at: Unit) -> tuple[Span, Span]:
    """Return one unit as a rectangle: without a server, fewer reads save nothing, and blocks need no copy."""
    row, col = at
    return (row, row + 1), (col, col + 1)
