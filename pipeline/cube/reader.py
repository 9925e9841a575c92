"""Reads windows of one asset; pixels are the same, bit for bit, however a region is divided into windows.

Every pixel is resampled independently (`resample` explains why), unfit numbers are left out (`unfit`), reads are
counted, and errors name item and asset. `opening` retries temporary failures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.loader.types import RasterSource

from pipeline.access.trust import SCHEMES
from pipeline.cube.blocks.raster import BlockRaster, read_blocks
from pipeline.cube.metadata.facts import AssetFacts
from pipeline.cube.metadata.outlines import elsewhere
from pipeline.cube.raster_pixels import (
    Marked,
    RasterPixels,
    ReadPlan,
    no_data,
    read_numbers,
    soon_of,
    stacked,
)
from pipeline.cube.resample import bilinear, block_max, block_mean, finer, shrink_factor
from pipeline.cube.unfit import INSIDE, MARGIN_PX, Found, Kinds, Quality
from pipeline.cube.windows import (
    Needed,
    Overview,
    Place,
    Window,
    nearest_of,
    needed_of,
    part_in,
    source_windows,
    strips,
)
from pipeline.wording import counted

T = TypeVar("T")


class ExactReader:
    """Reads windows of one asset."""

    def __init__(
        self, src: RasterSource, facts: AssetFacts, found: Found | None = None
    ) -> None:
        self._src = src
        self._facts = facts
        self._found = found or Found()

    def pixels(
        self, geobox: GeoBox, part: tuple[slice, slice] | None = None
    ) -> NDArray[np.float32]:
        """Read a geobox, or a part of one.

        Reflectance is averaged over whole blocks, or read from an overview, if the geobox is coarser than the asset by
        a factor of two or more, and interpolated bilinearly if grids differ. Codes are taken from the source pixel
        that contains the centre. Unfit numbers are left out and recorded in `Found`.

        Returns
        -------
        (y, x) float32 DNs, NaN = no data.

        Raises
        ------
        AssetError, AssetUnavailableError
            The asset cannot be read: see `opening.read_asset`.
        """
        place = geobox if part is None else geobox[part]
        return self._noted(geobox, part, self._read_pixels(place, self._marked(place)))

    @property
    def is_remote(self) -> bool:
        """Whether the asset lies on a server."""
        return self._facts.ref.href.partition(":")[0].lower() in SCHEMES

    def fetch(self, geobox: GeoBox) -> None:
        """Decode the blocks that `pixels` will want of a geobox, if these are not too many to be kept until then.

        Raises
        ------
        AssetError, AssetUnavailableError
            As of `pixels`.
        """
        overview = self._ask(partial(self._fetched, geobox=geobox))
        if overview is not None:
            whole = partial(self._fetched_from, geobox=geobox, margin_px=MARGIN_PX)
            self._ask(whole, overview.level)

    def _fetched(self, raster: BlockRaster, geobox: GeoBox) -> Overview | None:
        """Fetch a geobox, or return the overview to fetch it from."""
        self._check(raster)
        nearest = self._facts.nearest
        overview = None if nearest else self._overview(raster, shrink_of(raster, geobox))
        if overview is None:
            self._fetched_from(raster, geobox, 0)
        return overview

    def _fetched_from(self, raster: BlockRaster, geobox: GeoBox, margin_px: int) -> None:
        window = part_in(raster.geobox, geobox, margin_px)
        if window is not None:
            raster.fetch(self._src.band, window, soon_of(raster, self._facts, margin_px))

    def _noted(
        self, geobox: GeoBox, part: tuple[slice, slice] | None, read: RasterPixels
    ) -> NDArray[np.float32]:
        self._found.note(read.kinds, (geobox.shape.y, geobox.shape.x), part)
        return read.pixels

    def _read_pixels(self, geobox: GeoBox, marked: Marked) -> RasterPixels:
        read = self._ask(partial(self._read, geobox=geobox, marked=marked))
        if not isinstance(read, Overview):
            return read
        plan = ReadPlan(shrink=read.shrink, marked=marked, overview=True)
        coarse = self._ask(partial(self._averaged, geobox=geobox, plan=plan), read.level)
        box = coarse.unfit_box()
        if box is None:
            return RasterPixels(coarse.pixels)
        # Where the overview may be averaged from unfit numbers, the raster itself is read.
        part = geobox[box]
        plan = ReadPlan(
            shrink=read.whole, marked=self._marked(part, whole=True), overview=False
        )
        fine = self._ask(partial(self._averaged, geobox=part, plan=plan))
        return coarse.corrected(fine, box)

    def _ask(self, use: Callable[[BlockRaster], T], overview_level: int | None = None) -> T:
        return read_blocks(self._facts.ref, use, overview_level=overview_level)

    def _read(
        self, raster: BlockRaster, geobox: GeoBox, marked: Marked
    ) -> RasterPixels | Overview:
        """Read a geobox, or return the overview to read it from."""
        self._check(raster)
        shrink = shrink_of(raster, geobox)
        if self._facts.nearest:
            return RasterPixels(self._nearest(raster, geobox, shrink))
        plan = ReadPlan(shrink=shrink, marked=marked, overview=False)
        return self._overview(raster, shrink) or self._averaged(raster, geobox, plan)

    def _overview(self, raster: BlockRaster, shrink: int) -> Overview | None:
        """Return the overview to read from, if one fits."""
        # Not looked for where none can fit, because that may cost requests.
        factors = raster.overviews(self._src.band) if shrink > 1 else []
        fitting = [(factor, level) for level, factor in enumerate(factors) if factor <= shrink]
        if not fitting:
            return None
        factor, level = max(fitting)
        return Overview(level, shrink // factor, shrink)

    def _check(self, raster: BlockRaster) -> None:
        if not raster.has_crs:
            raise ValueError("it has no CRS")
        stated = self._facts.outline
        if stated is not None:
            reason = raster.once(
                self._facts.outline_key, lambda: elsewhere(raster.geobox, stated)
            )
            if reason:
                raise ValueError(reason)
        if self._src.band > raster.count:
            raise ValueError(
                f"it has {counted(raster.count, 'band')}, band {self._src.band} was asked for"
            )

    def _averaged(self, raster: BlockRaster, geobox: GeoBox, plan: ReadPlan) -> RasterPixels:
        """Resample to pixels `shrink` times finer and average those, a few rows at a time."""
        return stacked(
            [
                self._strip(raster, finer(strip, plan.shrink), plan)
                for strip in strips(geobox, plan.shrink)
            ]
        )

    def _strip(self, raster: BlockRaster, geobox: GeoBox, plan: ReadPlan) -> RasterPixels:
        needed, shrink = needed_of(raster.geobox, geobox), plan.shrink
        if needed is None:
            shape = (geobox.shape.y // shrink, geobox.shape.x // shrink)
            return RasterPixels(no_data(shape))
        read = self._window(raster, needed, plan)
        pixels, kinds = read.pixels, read.kinds
        if needed.positions is not None:
            pixels = bilinear(pixels, needed.positions)
            if kinds is not None:
                near = nearest_of(kinds.astype(np.float32), needed.positions)
                kinds = np.nan_to_num(near).astype(np.uint8)
        return RasterPixels(
            block_mean(pixels, shrink), None if kinds is None else block_max(kinds, shrink)
        )

    def _nearest(self, raster: BlockRaster, geobox: GeoBox, shrink: int) -> NDArray[np.float32]:
        """Take the source pixel that contains each centre, a few rows at a time.

        Never from an overview, whose codes may have been averaged.
        """
        return np.concatenate(
            [self._nearest_of(raster, strip) for strip in strips(geobox, shrink)]
        )

    def _nearest_of(self, raster: BlockRaster, geobox: GeoBox) -> NDArray[np.float32]:
        needed = needed_of(raster.geobox, geobox)
        if needed is None:
            return no_data((geobox.shape.y, geobox.shape.x))
        codes, _ = read_numbers(raster, self._src.band, self._facts, needed)
        return codes if needed.positions is None else nearest_of(codes, needed.positions)

    def _window(self, raster: BlockRaster, needed: Needed, plan: ReadPlan) -> RasterPixels:
        """Read rows and columns, and find unfit numbers.

        In an overview these and the pixels round them are only flagged; in the raster itself they are also replaced.
        """
        pixels, valid = read_numbers(
            raster, self._src.band, self._facts, needed, MARGIN_PX if plan.overview else 0
        )
        bounds = None if valid else self._facts.bounds
        if plan.overview:
            kinds = None if bounds is None else bounds.suspect(pixels)
            pixels = pixels[INSIDE, INSIDE]
        else:
            kinds = None if bounds is None else bounds.find(pixels)
        flagged = plan.marked.get((needed.start, needed.stop))
        if flagged is not None:
            flagged = np.where(np.isfinite(pixels), flagged, 0).astype(np.uint8)
            kinds = flagged if kinds is None else np.maximum(kinds, flagged)
        if kinds is not None and self._facts.bounds is not None and not plan.overview:
            self._facts.bounds.settle(pixels, kinds)
        return RasterPixels(pixels, kinds)

    # -- quality bands --------------------------------------------------------------

    def _marked(self, geobox: GeoBox, *, whole: bool = False) -> Marked:
        """Read the quality band in the windows of the source that a geobox needs.

        It is read before the band itself is opened, since only one raster may be open at a time. The windows are those
        of the overview that fits, if any, or of the raster itself if `whole` is set.
        """
        quality = self._facts.quality
        if quality is None:
            return {}
        windows = self._ask(partial(self._windows, geobox=geobox, whole=whole))
        if isinstance(windows, Overview):
            shrink = windows.shrink
            windows = self._ask(
                lambda raster: source_windows(raster.geobox, geobox, shrink), windows.level
            )
        flagged = {window: self._flags(quality, place) for window, place in windows.items()}
        return {window: kinds for window, kinds in flagged.items() if kinds.any()}

    def _windows(
        self, raster: BlockRaster, geobox: GeoBox, *, whole: bool
    ) -> dict[Window, GeoBox] | Overview:
        self._check(raster)
        shrink = shrink_of(raster, geobox)
        overview = None if whole else self._overview(raster, shrink)
        return overview or source_windows(raster.geobox, geobox, shrink)

    def _flags(self, quality: Quality, window: GeoBox) -> Kinds:
        """Return the kind that the quality band flags in each pixel of a window; the worst one if it has several."""
        found, key = self._found, (quality.href, Place(window))
        if key not in found.codes:
            ref = dataclasses.replace(self._facts.ref, asset=quality.asset, href=quality.href)
            facts = dataclasses.replace(
                self._facts, ref=ref, nodata=-1, nearest=True, quality=None
            )
            reader = ExactReader(RasterSource(quality.href), facts, found)
            found.codes[key] = reader.codes(window)
        flagged = (quality.key, key[1])
        if flagged not in found.flags:
            codes, shrink = found.codes[key]
            found.flags[flagged] = block_max(quality.kinds(codes), shrink)
        return found.flags[flagged]

    def codes(self, geobox: GeoBox) -> tuple[NDArray[np.float32], int]:
        """Read the codes in a geobox on a finer grid, and the factor by which it is finer along an edge."""
        return self._ask(partial(self._all_codes, geobox=geobox))

    def _all_codes(
        self, raster: BlockRaster, geobox: GeoBox
    ) -> tuple[NDArray[np.float32], int]:
        self._check(raster)
        shrink = shrink_of(raster, geobox)
        return self._nearest_of(raster, finer(geobox, shrink)), shrink


def shrink_of(raster: BlockRaster, geobox: GeoBox) -> int:
    """Return `shrink_factor` of a raster, which does not depend on the window."""
    key = ("shrink", str(geobox.crs), geobox.resolution.x)
    return raster.once(key, lambda: shrink_factor(raster.geobox, geobox))
