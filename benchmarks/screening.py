"""Composites of simulated archives, with and without screening, against the ground's own truth.

``python -m benchmarks.screening FOLDER… [--name monthly] [--png FOLDER]``

Each FOLDER has ``archive`` (`cloudmask simulate`) and ``store`` with masks (`cloudmask demo`, or a run). For every month:
the error of each band over filled pixels that are not suspect, divided by that of the same median over the observations that
are clear in truth, over the same pixels; filled and not suspect, as a share of what the true mask fills, and how much of it
the masks leave possible; truly clear observations put aside, and missed clouds and shadows left. With ``--png``, pictures of
before and after. ``--changes`` changes the ground from 20 July on (harvest, snow, flood, roof) and says in how many
pixels, by their clear observations in August, August's composite is nearer to the new ground than to the old.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import xarray as xr

from pipeline.composite import compose, periods, screen
from pipeline.composite.evidence import history_window
from pipeline.evaluate import BANDS, CLASSES, Truth
from pipeline.run import observations
from pipeline.store import open_archive
from pipeline.types import Period, ScreenSettings, is_usable

SUMMER = Period(start=datetime(2023, 6, 1, tzinfo=UTC), end=datetime(2023, 9, 1, tzinfo=UTC))
CHANGED = np.datetime64("2023-07-20")
DIMS = ("time", "y", "x")


@dataclass(frozen=True)
class Archive:
    """All scenes of a summer on the store's grid."""

    cube: xr.Dataset
    codes: xr.DataArray
    """Of the stored masks."""
    usable: xr.DataArray
    """As the stored masks say."""
    clear: xr.DataArray
    """In truth."""
    classes: xr.DataArray
    """In truth, by `CLASSES`."""
    surface: np.ndarray
    """(time, band, y, x), each scene's own."""


def opened(folder: Path) -> Archive:
    """Read an archive and its truth."""
    stored = open_archive(str(folder / "store"))
    truth = Truth.open(folder / "archive" / "truth.zarr")
    geobox = next(iter(stored.masks(name) for name in stored.sensors)).odc.geobox
    cube = observations(stored, BANDS)(SUMMER, geobox).compute()
    times, sensors = cube["time"].values, cube["sensor"].values.astype(str)
    masks = {name: stored.masks(name)["mask"] for name in stored.sensors}
    codes = [
        masks[sensor].sel(time=time, method="nearest").values
        for time, sensor in zip(times, sensors, strict=True)
    ]
    scenes = [truth.find(time, sensor) for time, sensor in zip(times, sensors, strict=True)]
    classes = np.stack([truth.classes(each, geobox) for each in scenes])
    surface = [[truth.surface(role, [each], geobox) for role in BANDS] for each in scenes]
    return Archive(
        cube=cube,
        codes=xr.DataArray(np.stack(codes), dims=DIMS),
        usable=xr.DataArray(is_usable(np.stack(codes)), dims=DIMS),
        clear=xr.DataArray(classes == CLASSES.index("clear"), dims=DIMS),
        classes=xr.DataArray(classes, dims=DIMS),
        surface=np.array(surface),
    )


def screened(archive: Archive, month: Period, settings: ScreenSettings) -> xr.Dataset:
    """Screen a month by its history, as a run does."""
    inside, around = within(archive, month), within(archive, history_window(month, settings))
    around &= ~inside
    return screen(
        archive.cube.isel(time=inside),
        archive.usable.isel(time=inside),
        settings,
        (archive.cube.isel(time=around), archive.usable.isel(time=around)),
    )


def within(archive: Archive, span: Period) -> np.ndarray:
    start, end = (
        np.datetime64(each.replace(tzinfo=None), "ns") for each in (span.start, span.end)
    )
    times = archive.cube["time"].values
    return (times >= start) & (times < end)


def values(composite: xr.Dataset) -> np.ndarray:
    return np.stack([composite[role].values for role in BANDS])


def rmse(made: np.ndarray, true: np.ndarray, where: np.ndarray) -> np.ndarray:
    return np.sqrt(((made - true)[:, where].astype(np.float64) ** 2).mean(axis=1))


def measured(
    archive: Archive, month: Period, png: Path | None
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Return ratios of errors before and after, (band,) each, and shares."""
    inside = within(archive, month)
    cube = archive.cube.isel(time=inside)
    usable, clear = archive.usable.isel(time=inside), archive.clear.isel(time=inside)
    done = screened(archive, month, ScreenSettings())
    before, after = compose(cube, usable), compose(cube, done["kept"])
    best = compose(cube, clear)
    surface = np.median(archive.surface[inside], axis=0)
    known = np.isfinite(surface).all(axis=0)
    true_filled = (best["count"].values > 0) & known
    both = true_filled & (before["count"].values > 0)
    sure = both & (done["suspect"].values == 0)
    finite = np.isfinite(np.stack([cube[role].values for role in BANDS])).all(axis=0)
    seen = usable.values & finite & known
    good, bad = seen & clear.values, seen & ~clear.values
    shares = {
        "filled": sure.sum() / true_filled.sum(),
        "possible": (good.any(axis=0)).sum() / true_filled.sum(),
        "clear put aside": (good & ~done["kept"].values).sum() / good.sum(),
        "missed before": bad.sum() / seen.sum(),
        "missed after": (bad & done["kept"].values).sum() / (seen & done["kept"].values).sum(),
    }
    if png is not None:
        for name, each in (("before", before), ("after", after), ("truth", best)):
            picture(png / f"{month.start:%m}-{name}.png", values(each))
        picture(
            png / f"{month.start:%m}-sure.png",
            np.where(done["suspect"].values == 0, values(after), np.nan),
        )
    ratio_after = rmse(values(after), surface, sure) / rmse(values(best), surface, sure)
    ratio_before = rmse(values(before), surface, both) / rmse(values(best), surface, both)
    return ratio_before, ratio_after, shares


def picture(path: Path, bands: np.ndarray) -> None:
    from PIL import Image  # noqa: PLC0415 -- only where pictures are wanted

    path.parent.mkdir(parents=True, exist_ok=True)
    rgb = np.clip(bands[[2, 1, 0]] / 0.25, 0, 1)
    shown = np.nan_to_num(rgb, nan=1.0) * [[[1.0]], [[1.0]], [[1.0]]]
    shown[:, np.isnan(bands[0])] = np.array([1.0, 0.0, 1.0])[:, None]
    Image.fromarray((np.moveaxis(shown, 0, -1) * 255).astype(np.uint8)).save(path)


NEW = {
    "harvest": ([0.04, 0.05, 0.08, -0.15, 0.10], True),
    "snow": ([0.75, 0.74, 0.72, 0.62, 0.10], False),
    "flood": ([0.05, 0.06, 0.05, 0.03, 0.02], False),
    "roof": ([0.45, 0.47, 0.48, 0.50, 0.45], False),
}
"""Change -> (reflectance by `BANDS`, whether it is added to the old one)."""


def changed(archive: Archive, name: str) -> Archive:
    """Change the ground from `CHANGED` on, up to 8 % brighter or darker from date to date.

    Under cloud and shadow that masks missed it changes, too, by the share of the ground that is seen there: what is
    darker than the old ground shows it by as much less, what is brighter by as much as is left up to white.
    """
    spectrum, added = NEW[name]
    rng, cube = np.random.default_rng(0), archive.cube.copy(deep=True)
    for step in np.flatnonzero(cube["time"].values >= CHANGED):
        light, clear = rng.uniform(0.92, 1.08), archive.clear.values[step]
        for role, value, old in zip(BANDS, spectrum, archive.surface[step], strict=True):
            seen = cube[role].values[step]
            shown = np.where(seen < old, seen / np.maximum(old, 1e-3), (1 - seen) / (1 - old))
            new = old + value if added else value * light
            under = seen + np.clip(shown, 0, 1) * (new - old)
            over = seen + value if added else new
            cube[role].values[step] = np.where(
                clear, np.where(np.isfinite(seen), over, seen), under
            )
    return replace(archive, cube=cube)


def print_changes(archive: Archive) -> None:
    month = periods(SUMMER, "month")[-1]
    for name in NEW:
        new = changed(archive, name)
        inside, first = within(new, month), within(new, periods(SUMMER, "month")[0])
        made = values(
            compose(new.cube.isel(time=inside), screened(new, month, ScreenSettings())["kept"])
        )
        seen = new.clear.isel(time=inside) & new.usable.isel(time=inside)
        target = values(compose(new.cube.isel(time=inside), seen))
        old = np.median(archive.surface[first], axis=0)
        off, back = (np.sqrt(((made - each) ** 2).sum(axis=0)) for each in (target, old))
        for count in (1, 2, 3):
            where = (seen.values.sum(axis=0) == count) & np.isfinite(off + back)
            if where.any():
                print(
                    f"  {name}, {count} clear in August: stands in {(off < back)[where].mean():.3%} "
                    f"of {where.sum()} pixels"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--png", type=Path)
    parser.add_argument("--changes", action="store_true")
    given = parser.parse_args()
    print("error over that under a true mask, by band:", ", ".join(BANDS))
    for folder in given.folders:
        archive, ratios = opened(folder), []
        for month in periods(SUMMER, "month"):
            png = given.png / folder.name if given.png else None
            before, after, shares = measured(archive, month, png)
            ratios.append((before, after))
            told = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
            print(
                f"{folder.name} {month.start:%Y-%m}: {np.round(before, 2)} -> {np.round(after, 2)}; {told}"
            )
        before, after = np.mean(ratios, axis=0)
        print(f"{folder.name}, mean of months: {np.round(before, 2)} -> {np.round(after, 2)}")
        if given.changes:
            print_changes(archive)


if __name__ == "__main__":
    main()
