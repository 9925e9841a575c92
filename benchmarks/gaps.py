"""Compares ways to fill missing pixels: the share of the other pixels that keep the class of the whole image.

    python benchmarks/gaps.py            # three labelled chips and two reference scenes of ../shared/data

A part of each image is taken away, the rest is masked by ukis-csmask with the gap filled in one way or another,
and compared with the mask of the whole image. `pipeline.models.engine.fill_gaps` does what came out best.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import rasterio

from pipeline import models
from pipeline.models.engine import fill_gaps
from pipeline.models.engine.fill_gaps import WHOLE, Gaps, NetworkInput

DATA = Path(__file__).parents[2] / "shared" / "data"
FOUR = ("blue", "green", "red", "nir")
SIX = (*FOUR, "swir16", "swir22")
EDGE = 512
NEAR_PX = 32
"""Pixels this close to a gap are also looked at by themselves."""
MARGIN_PX = 32
KEPT_PX = (145, 170, 250, 400, 475)
"""How much straight cuts leave."""


# -- how gaps are filled ------------------------------------------------------------------------------


def constant(
    of: Callable[[np.ndarray], np.ndarray], window: np.ndarray, _: int
) -> NetworkInput:
    """Fill gaps with a value by band."""
    filled = np.where(np.isnan(window), of(window)[:, None, None], window).astype(np.float32)
    return NetworkInput(lambda: filled, WHOLE, WHOLE)


def zeros(window: np.ndarray) -> np.ndarray:
    return np.zeros(len(window))


def band_means(window: np.ndarray) -> np.ndarray:
    return np.nanmean(window, axis=(1, 2))


def mirror_everywhere(window: np.ndarray, _: int) -> NetworkInput:
    return NetworkInput(
        lambda: fill_gaps.mirror(window, fill_gaps.is_missing(window)), WHOLE, WHOLE
    )


def nearest(window: np.ndarray, stride: int) -> NetworkInput:
    with mock.patch.object(fill_gaps, "REPEAT_PX", 10 * EDGE):
        filled = mirror_everywhere(window, stride).image()
    return NetworkInput(lambda: filled, WHOLE, WHOLE)


def with_margin(window: np.ndarray, stride: int) -> NetworkInput:
    """Show the mirror up to `MARGIN_PX` beyond the data."""
    where = fill_gaps.cut(window, stride).where
    wider = tuple(
        slice(max(span.start - MARGIN_PX, 0), min(span.stop + MARGIN_PX, EDGE))
        for span in where
    )
    filled = mirror_everywhere(window, stride).image()[:, *wider]
    return NetworkInput(lambda: filled, WHOLE, wider)


WAYS: dict[str, Gaps] = {
    "zeros": partial(constant, zeros),
    "band means": partial(constant, band_means),
    "nearest": nearest,
    "mirror": mirror_everywhere,
    f"mirror, {MARGIN_PX} px of it": with_margin,
    "mirror, cut (ours)": fill_gaps.mirrored,
}


# -- what is taken away --------------------------------------------------------------------------


def swath(y: np.ndarray, x: np.ndarray) -> Iterator[np.ndarray]:
    """Take 30 % away, beyond a slanted edge."""
    yield x + y / 4 > 0.7 * EDGE + EDGE / 8


def stripes(y: np.ndarray, x: np.ndarray) -> Iterator[np.ndarray]:
    """Take 20 px away every 80 px."""
    yield (x + y / 8) % 80 < 20


def straight(y: np.ndarray, x: np.ndarray) -> Iterator[np.ndarray]:
    """Take a side away, up to a straight edge."""
    for along in (y, x):
        for kept in KEPT_PX:
            yield along >= kept
            yield along < EDGE - kept


CUTS = {"swath": swath, "stripes": stripes, "straight": straight}


# -- how it comes out ----------------------------------------------------------------------------


def images() -> Iterator[tuple[models.Model, np.ndarray]]:
    """Yield images of 512 px and the network for each."""
    for number in (1, 2, 3):
        with rasterio.open(DATA / "labelled" / f"chip_{number}.tif") as chip:
            yield network("L2A", FOUR), (chip.read()[:4] / 10000).astype(np.float32)
    for sensor in ("sentinel2", "landsat7"):
        with np.load(DATA / "reference" / f"ukis_{sensor}.npz") as held:
            yield network("L1C", SIX), np.moveaxis(held["img"], -1, 0).astype(np.float32)


def network(level: str, roles: tuple[str, ...]) -> models.Model:
    options = {"precision": "auto"}
    return models.load(models.resolve("ukis-csmask", level=level, roles=roles, options=options))


def classes(model: models.Model, image: np.ndarray) -> np.ndarray:
    return model.predict(image[np.newaxis])[0].argmax(axis=0)


def near(gone: np.ndarray) -> np.ndarray:
    """Pixels that are left within `NEAR_PX` of the gap, up and down, left and right."""
    wide = gone.copy()
    for axis in (0, 1):
        for by in (NEAR_PX, -NEAR_PX):
            wide |= np.roll(gone, by, axis)
    return wide & ~gone


def main() -> None:
    y, x = np.indices((EDGE, EDGE))
    kept: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for model, image in images():
        whole = classes(model, image)
        for cut, taken in CUTS.items():
            for gone in taken(y, x):
                left = np.where(gone, np.float32(np.nan), image)
                for way, gaps in WAYS.items():
                    with mock.patch.object(model, "_gaps", gaps):
                        same = classes(model, left) == whole
                    shares = same[~gone].mean(), same[near(gone)].mean()
                    kept.setdefault((cut, way), []).append(shares)
    for (cut, way), shares in kept.items():
        every, close = np.mean(shares, axis=0)
        print(f"{cut:10} {way:22} {every:.3f} of what is left, {close:.3f} near the gap")


if __name__ == "__main__":
    main()
