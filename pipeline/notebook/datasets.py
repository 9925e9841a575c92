"""Masks and composites as xarray Datasets that show pictures and numbers of themselves.

They are what xarray makes of them: everything that takes a Dataset takes them, and what xarray derives from them
(a selection, a sum) shows itself in the same way as long as the pixels are in it.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline.notebook.page import Picture, Shown, legend_of
from pipeline.types import CLOUD, USABLE, Code
from pipeline.wording import counted

MOST_SHOWN = 4
"""Scenes or periods with a picture: the latest ones."""
MOST_PIXELS = 4096 * 4096
"""Pixels of a scene that is read for a picture; of larger ones only xarray's own summary is shown."""
PICTURE_PX = 260
RGB = ("red", "green", "blue")

D = TypeVar("D", bound=xr.Dataset)


def shown_as(kind: type[D], dataset: xr.Dataset) -> D:
    """Return a dataset as one that shows itself; pixels, encodings and indexes are shared."""
    made = dataset.copy(deep=False)
    # The constructor of Dataset drops encodings and indexes; a subclass without slots has the same layout.
    made.__class__ = kind
    return made  # type: ignore[return-value]


class Masks(xr.Dataset):  # type: ignore[no-untyped-call]
    """Masks that show their latest scenes in the colours of the legend, and their shares."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        inner = super()._repr_html_()
        if "mask" not in self or not {"y", "x"} <= {*self["mask"].dims}:
            return inner
        from pipeline.report.pictures import mask_png  # noqa: PLC0415 -- brings matplotlib

        frames = _frames(self, "mask")
        size = f"{self.sizes['x']} × {self.sizes['y']} pixels"
        about = f"{counted(self['mask'].sizes.get('time', 1), 'scene')}, {size}"
        if not frames:
            return Shown(title="Masks", about=about, notes=[_TOO_LARGE], inner=inner).html()
        shares = [_shares(frame["mask"].to_numpy()) for frame in frames]
        return Shown(
            title="Masks",
            about=about,
            pictures=[
                Picture(
                    png=mask_png(frame["mask"], PICTURE_PX),
                    caption=f"{_time(frame)}: {_clear(share)} clear",
                )
                for frame, share in zip(frames, shares, strict=True)
            ],
            legend=legend_of(Code),
            heads=("time", "sensor", "clear", "cloud", "shadow", "no data"),
            rows=[
                (_time(frame), _text(frame, "sensor"), *_numbers(share))
                for frame, share in zip(frames, shares, strict=True)
            ],
            inner=inner,
        ).html()


class Composites(xr.Dataset):  # type: ignore[no-untyped-call]
    """Composites that show their latest periods in true colour, and how many observations they are made of."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        inner = super()._repr_html_()
        bands = [name for name, each in self.data_vars.items() if {"y", "x"} <= {*each.dims}]
        if not bands:
            return inner
        frames = _frames(self, str(bands[0]))
        size = f"{self.sizes['x']} × {self.sizes['y']} pixels"
        roles = ", ".join(str(each) for each in bands)
        about = f"{counted(self.sizes.get('time', 1), 'period')}, {size}; {roles}"
        return Shown(
            title="Composite",
            about=about,
            pictures=_composite_pictures(frames),
            heads=("period from", "pixels with data", "observations: least", "median", "most"),
            rows=[(_time(frame)[:10], *_observations(frame)) for frame in frames],
            notes=[] if frames else [_TOO_LARGE],
            inner=inner,
        ).html()


_TOO_LARGE = "Too large for a picture: choose an area, or an overview by level=."


def _frames(dataset: xr.Dataset, name: str) -> list[xr.Dataset]:
    """Return the latest scenes or periods, (y, x) each; none where they are too large to be read for a picture."""
    if dataset.sizes["y"] * dataset.sizes["x"] > MOST_PIXELS or not dataset[name].size:
        return []
    if "time" not in dataset[name].dims:
        return [dataset]
    latest = range(max(0, dataset.sizes["time"] - MOST_SHOWN), dataset.sizes["time"])
    return [dataset.isel(time=at).load() for at in latest]


def _composite_pictures(frames: list[xr.Dataset]) -> list[Picture]:
    from pipeline.report.pictures import count_png, rgb_png, stretch_of  # noqa: PLC0415

    if not frames:
        return []
    if {*RGB} <= {*map(str, frames[0].data_vars)}:
        stretch = stretch_of(frames, RGB)
        drawn = [rgb_png(frame, RGB, stretch, PICTURE_PX) for frame in frames]
    elif "count" in frames[0]:
        drawn = [count_png(frame["count"], max_px=PICTURE_PX) for frame in frames]
    else:
        return []
    return [
        Picture(png=png, caption=_time(frame)[:10])
        for png, frame in zip(drawn, frames, strict=True)
    ]


def _observations(frame: xr.Dataset) -> tuple[str, ...]:
    if "count" not in frame:
        return ("", "", "", "")
    counts = frame["count"].to_numpy()
    some = counts[counts > 0]
    share = f"{100 * some.size / counts.size:.1f} %"
    return (share, *(f"{f(some):g}" if some.size else "–" for f in (np.min, np.median, np.max)))


def _shares(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the pixels of each code."""
    return np.bincount(codes.ravel(), minlength=len(Code))


def _clear(counts: NDArray[np.int64]) -> str:
    return _numbers(counts)[0]


def _numbers(counts: NDArray[np.int64]) -> tuple[str, ...]:
    """Return the shares of clear, cloud and shadow among the pixels with data; of no data among all."""
    seen = int(counts.sum() - counts[Code.NO_DATA])

    def share(*codes: Code) -> str:
        return f"{100 * counts[[*codes]].sum() / seen:.1f} %" if seen else "–"

    missing = f"{100 * counts[Code.NO_DATA] / counts.sum():.1f} %"
    return share(*USABLE), share(*CLOUD), share(Code.CLOUD_SHADOW), missing


def _time(frame: xr.Dataset) -> str:
    if "time" not in frame.coords or frame["time"].ndim:
        return ""
    return str(frame["time"].to_numpy().astype("datetime64[m]")).replace("T", " ")


def _text(frame: xr.Dataset, name: str) -> str:
    return str(frame[name].item()) if name in frame.coords and not frame[name].ndim else ""
