"""An archive that shows itself, and whose masks and composites do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline import store
from pipeline.notebook.datasets import RGB, Composites, Masks, shown_as
from pipeline.notebook.page import Picture, Shown
from pipeline.wording import counted

if TYPE_CHECKING:
    from pipeline.notebook.explore import Map

_PICTURE_PX = 420
_MOST_PX = 4096
"""Longest edge that is read for a picture."""


class Archive(store.Archive):
    """One state of a store, for reading; made by `cloudmask.open`."""

    def masks(
        self, sensor: str, chunks: Mapping[str, int] | None = None, *, level: int = 1
    ) -> Masks:
        """Return the masks of a sensor; see `pipeline.store.Archive.masks`."""
        return shown_as(Masks, super().masks(sensor, chunks, level=level))

    def composite(
        self, name: str, chunks: Mapping[str, int] | None = None, *, level: int = 1
    ) -> Composites:
        """Return a composite; see `pipeline.store.Archive.composite`."""
        return shown_as(Composites, super().composite(name, chunks, level=level))

    def explore(self, *, height: int = 640) -> Map:
        """Show the archive's map in a notebook: a frame, from a server of this process on 127.0.0.1.

        The map shows the newest state of the store. The browser must run on this machine; elsewhere use
        ``cloudmask serve``.

        Parameters
        ----------
        height
            Of the frame, pixels.

        Raises
        ------
        ConfigError
            The map is not built: a checkout without ``make web``.
        """
        from pipeline.notebook.explore import explore  # noqa: PLC0415 -- brings the web framework

        return explore(self.url, height=height)

    def _repr_html_(self) -> str:
        shape = self.grid.geobox.shape
        pixels = f"{shape[1]} × {shape[0]} pixels of {self.grid.resolution_m:g} m"
        return Shown(
            title=self.title or "Archive",
            about=f"{pixels}, {self.grid.geobox.crs}; snapshot {self.snapshot}",
            pictures=self._pictures(),
            heads=("", "name", "", "from", "to"),
            rows=[*self._mask_rows(), *self._composite_rows()],
        ).html()

    def _mask_rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = []
        for sensor in self.sensors:
            times = [time for time, *_ in self.scenes(sensor)]
            span = (f"{times[0]:%Y-%m-%d}", f"{times[-1]:%Y-%m-%d}") if times else ("", "")
            rows.append(("masks", sensor, counted(len(times), "scene"), *span))
        return rows

    def _composite_rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = []
        for name in self.composite_names:
            bounds = super().composite(name)["time_bnds"].to_numpy().astype("datetime64[D]")
            span = (str(bounds[0, 0]), str(bounds[-1, 1] - 1)) if len(bounds) else ("", "")
            rows.append(("composite", name, counted(len(bounds), "period"), *span))
        return rows

    def _pictures(self) -> list[Picture]:
        """Return the newest period of the first composite, drawn from an overview."""
        from pipeline.report.pictures import rgb_png  # noqa: PLC0415 -- brings matplotlib

        for name in self.composite_names:
            finest = max(self.grid.geobox.shape) / _PICTURE_PX
            levels = self.levels("composites", name)
            level = max((each for each in levels if each <= finest), default=1)
            if max(self.grid.geobox.shape) / level > _MOST_PX:
                continue  # no overview: a picture would read all pixels
            made = super().composite(name, level=level)
            if {*RGB} <= {*map(str, made.data_vars)} and made.sizes["time"]:
                latest = made.isel(time=-1)
                caption = f"{name}, {str(latest['time'].to_numpy())[:10]}"
                return [Picture(png=rgb_png(latest, max_px=_PICTURE_PX), caption=caption)]
        return []
