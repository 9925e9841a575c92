"""Screening on real time series: how far NDVI jumps about, and whether seasons keep their height.

``python -m benchmarks.series [--data ../shared/data/timeseries] [--model ukis-csmask] [--png FOLDER]``

A landscape of fields, 640 m, August 2017 to November 2018: 118 dates of Sentinel-2 at 20 m, 26 of Landsat 8. Masks are
the model's, the model's with SCL or the QA band as a second opinion, and the model's where it agrees. Each month is screened by its history, as in a run.
Of each pixel's NDVI, of the observations that stand:

- jumps: root of the mean square difference of an observation from the median of the pixel's other
  observations within 20 days, where there are three or more;
- height of a season (March to November 2018): largest less least of the medians of five observations in a
  row, which no one or two of them can move; of pixels with fifteen observations before and after.

Then, by month, the share of observations put aside for cloud and for shadow, and by how much NDVI of these differs
from the median within 20 days: ground that changes differs little, cloud and shadow more. With ``--png`` the series of
nine pixels: crosses are what the masks leave, dots what stands.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import xarray as xr

from pipeline.composite import BRIGHT, EVIDENCE, history_window, periods, screen
from pipeline.datasets import reader_of
from pipeline.datasets.labels import Labelled
from pipeline.evaluate.labelled import by_model
from pipeline.models import load, resolve
from pipeline.types import Period, ScreenSettings, is_usable

DIMS = ("time", "y", "x")
FIELD = "00002806639B424A_32631_2017-08-01_2018-11-30.nc"
ALL = Period(start=datetime(2017, 8, 1, tzinfo=UTC), end=datetime(2018, 12, 1, tzinfo=UTC))
SEASON = slice("2018-03-01", "2018-11-30")
S2 = {"blue": "B02", "green": "B03", "red": "B04", "nir": "B08"}
S2_COARSE = {"swir16": "B11", "swir22": "B12"}
L8 = {
    "blue": "B02",
    "green": "B03",
    "red": "B04",
    "nir": "B05",
    "swir16": "B06",
    "swir22": "B07",
}
NEAR_DAYS = 20
AROUND_PX = 112


@dataclass(frozen=True)
class Series:
    """All dates of a sensor."""

    name: str
    cube: xr.Dataset
    agrees: np.ndarray
    """(time, y, x) what the product's own mask says is clear."""
    resolution_m: float


def sentinel(folder: Path) -> Series:
    """Read Sentinel-2 at 20 m: the mean of four where a band is finer."""
    fine, coarse = (_opened(folder, f"S2_L2A_{px}m") for px in (10, 20))
    bands = {role: _halved(fine[name].values) for role, name in S2.items()}
    bands |= {role: coarse[name].values for role, name in S2_COARSE.items()}
    clear = np.isin(coarse["SCL"].values, (4, 5, 6, 7, 11))
    return Series("Sentinel-2", _cube(bands, coarse["timestamp"].values), clear, 20)


def landsat(folder: Path) -> Series:
    """Read Landsat 8; of QA of Collection 1 bits 3 (shadow) and 5 (cloud), high cirrus 8 and 9."""
    found = _opened(folder, "L8_SR_10m")
    bands = {role: found[name].values for role, name in L8.items()}
    qa = found["pixel_qa"].values
    clear = (qa & (1 << 3 | 1 << 5) == 0) & (qa >> 8 & 3 < 3) & (qa & 1 == 0)
    return Series("Landsat 8", _cube(bands, found["timestamp"].values), clear, 10)


def _opened(folder: Path, name: str) -> xr.Dataset:
    # A fill value of NaN on whole numbers, as these files have, cannot be decoded.
    raw = xr.open_dataset(folder / f"{name}_{FIELD}", mask_and_scale=False)
    scaled = (raw[band] for band in raw.data_vars if "scale_factor" in raw[band].attrs)
    return raw.assign({band.name: band * band.attrs["scale_factor"] for band in scaled})


def _halved(fine: np.ndarray) -> np.ndarray:
    n_times, rows, cols = fine.shape
    return fine.reshape(n_times, rows // 2, 2, cols // 2, 2).mean(axis=(2, 4))


def _cube(bands: dict[str, np.ndarray], times: np.ndarray) -> xr.Dataset:
    layers = {role: (DIMS, band.astype(np.float32)) for role, band in bands.items()}
    layers["source"] = (DIMS, np.zeros(next(iter(bands.values())).shape, np.int32))
    return xr.Dataset(layers, coords={"time": times})


def masked(series: Series, name: str) -> np.ndarray:
    """Return (time, y, x) what a model says is usable."""
    roles = tuple(str(role) for role in series.cube.data_vars if role != "source")
    model = load(resolve(name, level="L2A", roles=roles))
    masker = by_model(model, reader_of("chips").card)
    stack = np.stack([series.cube[role].values for role in roles], axis=1)
    # A network meant for scenes calls a scrap amid no data cloud: it sees the mirrored landscape around.
    around = tuple((AROUND_PX, AROUND_PX) for _ in range(2))
    stack = np.pad(stack, ((0, 0), (0, 0), *around), mode="symmetric")
    inner = slice(AROUND_PX, -AROUND_PX)
    nothing = np.zeros(stack.shape[2:], np.uint8)
    images = (
        Labelled(
            id=f"date {number}",
            labels=nothing,
            resolution_m=series.resolution_m,
            level="L2A",
            pixels=pixels,
            roles=roles,
        )
        for number, pixels in enumerate(stack)
    )
    return np.stack([is_usable(masker.predict(image)[inner, inner]) for image in images])


def screened(cube: xr.Dataset, usable: np.ndarray) -> np.ndarray:
    """Return (time, y, x) what stands, each month screened by its history; `usable` as `screen` takes it."""
    shown, kept = xr.DataArray(usable, dims=DIMS), np.zeros(usable.shape, bool)
    settings, evidence = ScreenSettings(), cube[[*EVIDENCE, "source"]]
    for month in periods(ALL, "month"):
        inside = _within(cube, month)
        around = _within(cube, history_window(month, settings)) & ~inside
        past = evidence.isel(time=around), shown.isel(time=around)
        if inside.any():
            made = screen(evidence.isel(time=inside), shown.isel(time=inside), settings, past)
            kept[inside] = made["kept"].values
    return kept


def _within(cube: xr.Dataset, span: Period) -> np.ndarray:
    start, end = (
        np.datetime64(each.replace(tzinfo=None), "ns") for each in (span.start, span.end)
    )
    times = cube["time"].values
    return (times >= start) & (times < end)


def ndvi(cube: xr.Dataset) -> np.ndarray:
    nir, red = cube["nir"].values, cube["red"].values
    return (nir - red) / (nir + red)


def beside(value: np.ndarray, kept: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return (time, y, x) medians of each pixel's other kept observations within `NEAR_DAYS`; NaN: under three."""
    out = np.full(value.shape, np.nan)
    shown = np.where(kept, value, np.nan)
    for step, time in enumerate(times):
        near = np.abs(times - time) <= np.timedelta64(NEAR_DAYS, "D")
        near[step] = False
        others = shown[near]
        enough = np.isfinite(others).sum(axis=0) >= 3
        out[step, enough] = np.nanmedian(others[:, enough], axis=0)
    return out


def jumps(value: np.ndarray, kept: np.ndarray, times: np.ndarray) -> float:
    off = np.where(kept, value - beside(value, kept, times), np.nan)
    return float(np.sqrt(np.nanmean(off**2)))


def heights(value: np.ndarray, kept: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return (y, x) of the season; NaN: fewer than fifteen observations."""
    inside = (times >= np.datetime64(SEASON.start)) & (times <= np.datetime64(SEASON.stop))
    out = np.full(value.shape[1:], np.nan)
    for place in np.ndindex(out.shape):
        seen = value[inside, *place][kept[inside, *place]]
        if len(seen) >= 15:
            middle = np.median(np.lib.stride_tricks.sliding_window_view(seen, 5), axis=1)
            out[place] = middle.max() - middle.min()
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/timeseries"))
    parser.add_argument("--model", default="ukis-csmask")
    parser.add_argument("--png", type=Path)
    given = parser.parse_args()
    for series in (sentinel(given.data), landsat(given.data)):
        usable = masked(series, given.model)
        doubted = ~series.agrees
        for words, before, doubts in (
            (given.model, usable, None),
            (f"{given.model}, product's mask as second opinion", usable, doubted),
            (f"{given.model} and the product's mask", usable & series.agrees, None),
        ):
            report(series, words, before, doubts, given.png)


def report(
    series: Series,
    words: str,
    before: np.ndarray,
    doubts: np.ndarray | None,
    png: Path | None,
) -> None:
    value, times = ndvi(series.cube), series.cube["time"].values
    roles = [name for name in series.cube.data_vars if name != "source"]
    finite = np.isfinite(np.stack([series.cube[role].values for role in roles])).all(axis=0)
    before = before & finite & np.isfinite(value)
    judged = before if doubts is None else np.where(before & doubts, BRIGHT, before)
    after = screened(series.cube, judged.astype(np.uint8))
    spread = [jumps(value, kept, times) for kept in (before, after)]
    high, low = (heights(value, kept, times) for kept in (before, after))
    both = np.isfinite(high) & np.isfinite(low)
    print(
        f"{series.name}, {words}: {before.sum()} observations, {1 - after.sum() / before.sum():.1%} put aside; "
        f"jumps of NDVI {spread[0]:.3f} -> {spread[1]:.3f}"
    )
    if both.any():
        print(
            f"  height of the season, {both.sum()} pixels: {high[both].mean():.3f} -> {low[both].mean():.3f} "
            f"({low[both].mean() / high[both].mean() - 1:+.1%}); lower by more than a tenth in "
            f"{(low[both] < 0.9 * high[both]).mean():.1%} of pixels"
        )
    print_months(series, value, before, after)
    if png is not None:
        plot(png / f"{series.name}-{len(words)}.png", series, value, before, after)


def print_months(
    series: Series, value: np.ndarray, before: np.ndarray, after: np.ndarray
) -> None:
    times, aside = series.cube["time"].values, before & ~after
    off = value - beside(value, after, times)
    month = times.astype("datetime64[M]")
    for each in np.unique(month):
        here = month == each
        out = aside[here]
        if out.any():
            some = off[here][out]
            some = some[np.isfinite(some)]
            middle = f"{np.median(some):+.2f}" if some.size else "unknown"
            print(
                f"  {each}: {out.sum() / before[here].sum():.1%} put aside, NDVI off by {middle} in the median"
            )


def plot(
    path: Path, series: Series, value: np.ndarray, before: np.ndarray, after: np.ndarray
) -> None:
    import matplotlib.pyplot as plt  # noqa: PLC0415 -- only where plots are wanted

    path.parent.mkdir(parents=True, exist_ok=True)
    times, edge = series.cube["time"].values, value.shape[1]
    figure, axes = plt.subplots(9, 1, figsize=(14, 22), sharex=True)
    places = [
        (y, x)
        for y in (edge // 6, edge // 2, edge * 5 // 6)
        for x in (edge // 6, edge // 2, edge * 5 // 6)
    ]
    for axis, place in zip(axes, places, strict=True):
        seen, stood = before[:, *place], after[:, *place]
        axis.plot(times[seen], value[seen, *place], "x", color="tab:red")
        axis.plot(times[stood], value[stood, *place], ".-", color="tab:blue")
        axis.set(ylim=(0, 1), ylabel=f"NDVI {place}")
    figure.tight_layout()
    figure.savefig(path, dpi=60)
    plt.close(figure)


if __name__ == "__main__":
    main()
