"""Prints every compositing method's error on a simulated archive, and draws one month by all of them.

``python -m benchmarks.methods FOLDER [--png SHEET.png] [--month 7] [--corner 384 384]``

FOLDER is as of `benchmarks.screening`. Errors are against the clean surface of a month, the median over its dates:
root mean square over the pixels that are filled and not suspect, the same for all methods, mean of the months. Each
method is measured with the observations that the masks leave, with those that screening leaves, and with those that
are clear in truth. Distances to clouds (`weighted_mean`) are of the same masks, or of the truth. The sheet shows the
screened composites in true colour, the clean surface last.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from benchmarks.screening import SUMMER, Archive, opened, rmse, screened, values, within
from pipeline.composite import cloud_distances, compose, method, periods
from pipeline.evaluate import BANDS, CLASSES
from pipeline.types import Code, Period, ScreenSettings

METHODS = {
    "median": ("median", {}),
    "mean": ("mean", {}),
    "percentile, q 25": ("percentile", {"q": 25}),
    "geomedian": ("geomedian", {}),
    "medoid": ("medoid", {}),
    "nearest": ("nearest", {}),
    "best, doy 1, haze .3": ("best", {"weights": {"doy": 1, "haze": 0.3}}),
    "best, griffiths2013": ("best", {"preset": "griffiths2013"}),
    "best, white2014": ("best", {"preset": "white2014"}),
    "best, force": ("best", {"preset": "force"}),
    "max, NDVI": ("max", {"index": "NDVI"}),
    "first": ("first", {}),
    "latest": ("latest", {}),
    "weighted_mean": ("weighted_mean", {}),
}
WAYS = ("masks", "screened", "truth")
"""Which observations are composed."""
EDGE_PX, TITLE_PX, GAP_PX, COLUMNS = 224, 18, 4, 4
BRIGHTEST, GAMMA = 0.25, 0.8
"""Reflectance that is shown as white, and the stretch below it."""


def months_of(archive: Archive) -> Iterator[tuple[Period, Archive, dict[str, xr.DataArray]]]:
    """Yield each month, its scenes, the observations of `WAYS`, and which pixels are suspect."""
    for month in periods(SUMMER, "month"):
        inside = within(archive, month)
        part = Archive(
            *(getattr(archive, name).isel(time=inside) for name in ("cube", "codes", "usable")),
            *(getattr(archive, name).isel(time=inside) for name in ("clear", "classes")),
            archive.surface[inside],
        )
        done = screened(archive, month, ScreenSettings())
        shown = {"masks": part.usable, "screened": done["kept"], "truth": part.clear}
        yield month, part, {**shown, "suspect": done["suspect"]}


def evidence(part: Archive, month: Period, way: str, reach_m: float) -> xr.Dataset:
    """Measure distances to clouds, of the masks or of the truth, and the middle of the month."""
    codes = part.codes
    if way == "truth":
        cloud, shadow = (part.classes == CLASSES.index(name) for name in ("cloud", "shadow"))
        codes = xr.where(
            cloud, Code.THICK_CLOUD, xr.where(shadow, Code.CLOUD_SHADOW, Code.CLEAR)
        )
    resolution_m = abs(float(part.cube["x"][1] - part.cube["x"][0]))
    found = cloud_distances(codes, (slice(None), slice(None)), resolution_m, reach_m)
    middle = month.start.timestamp() + (month.end - month.start).total_seconds() / 2
    return found.assign(middle=((), middle / 86400))


def composites(
    part: Archive, month: Period, shown: dict[str, xr.DataArray]
) -> Iterator[tuple[str, str, xr.Dataset]]:
    """Yield the name of each method, the way, and the composite."""
    for way in WAYS:
        for name, (base, options) in METHODS.items():
            made = method(base, options)
            given = evidence(part, month, way, made.reach_m) if made.needs else None
            yield name, way, compose(part.cube, shown[way], made, given)


def sheet(panels: dict[str, np.ndarray], path: Path) -> None:
    """Draw (band, y, x) pictures side by side, under their names."""
    from PIL import Image, ImageDraw  # noqa: PLC0415 -- only where pictures are wanted

    wide, high = EDGE_PX + GAP_PX, EDGE_PX + TITLE_PX
    rows = -(-len(panels) // COLUMNS)
    image = Image.new("RGB", (COLUMNS * wide - GAP_PX, rows * high), "white")
    draw = ImageDraw.Draw(image)
    for place, (name, bands) in enumerate(panels.items()):
        x, y = place % COLUMNS * wide, place // COLUMNS * high
        rgb = np.clip(bands[[2, 1, 0]] / BRIGHTEST, 0, 1) ** GAMMA
        seen = np.moveaxis(np.where(np.isnan(rgb), 1, rgb), 0, -1)
        draw.text((x + 2, y + 3), name, fill="black")
        image.paste(Image.fromarray((seen * 255).astype(np.uint8)), (x, y + TITLE_PX))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--png", type=Path)
    parser.add_argument("--month", type=int, default=7)
    parser.add_argument("--corner", type=int, nargs=2, default=(384, 384))
    given = parser.parse_args()
    window = tuple(slice(corner, corner + EDGE_PX) for corner in given.corner)
    errors: dict[tuple[str, str], list[np.ndarray]] = {}
    panels: dict[str, np.ndarray] = {}
    for month, part, shown in months_of(opened(given.folder)):
        surface = np.median(part.surface, axis=0)
        sure = (shown["suspect"].values == 0) & np.isfinite(surface).all(axis=0)
        finite = np.isfinite(np.stack([part.cube[role].values for role in BANDS])).all(axis=0)
        sure &= (part.clear.values & finite).any(axis=0)
        for name, way, composite in composites(part, month, shown):
            made = values(composite)
            errors.setdefault((name, way), []).append(rmse(made, surface, sure))
            if way == "screened" and month.start.month == given.month:
                panels[name] = made[:, *window]
        if month.start.month == given.month:
            panels["clean surface"] = surface[:, *window]
    print(f"RMSE in reflectance × 10⁴, {', '.join(BANDS)}; ratio to that under the true mask")
    for name in METHODS:
        mean = {way: np.mean(errors[name, way], axis=0) for way in WAYS}
        for way in WAYS:
            ratio = np.round(mean[way] / mean["truth"], 2)
            print(f"{name:22}{way:10}{np.rint(mean[way] * 1e4).astype(int)}  {ratio}")
    if given.png:
        sheet(panels, given.png)


if __name__ == "__main__":
    main()
