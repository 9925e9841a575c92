"""A clear-sky series that draws itself."""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from pipeline import types
from pipeline.notebook.page import Picture, Shown
from pipeline.query import in_words, to_rows
from pipeline.types import USABLE
from pipeline.types.series import CLEAR_PERCENT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_UNKNOWN = "#d9d0bf"
_COLUMNS = ("time", "sensor", "clear_pct", "thin_pct", "thick_pct", "shadow_pct", "no_data_pct")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series(types.Series):
    """A clear-sky series; see `pipeline.types.Series` for its numbers."""

    @classmethod
    def of(cls, series: types.Series) -> Series:
        """Return a series as one that shows itself."""
        return cls(**{each.name: getattr(series, each.name) for each in fields(series)})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the clear share of the area over time, a line a sensor.

        Dates that were never searched are shaded, and a dashed line shows from where on a date counts as clear.

        Parameters
        ----------
        ax
            Where to draw; none: a new figure of pyplot.
        """
        if ax is None:
            import matplotlib.pyplot as plt  # noqa: PLC0415 -- chooses a screen when it is imported

            _, ax = plt.subplots(figsize=(9, 3), layout="constrained")
        _draw(self, ax)
        return ax

    def _repr_html_(self) -> str:
        from matplotlib.figure import Figure  # noqa: PLC0415 -- slow to import

        figure = Figure(figsize=(9, 2.8), layout="constrained")
        self.plot(figure.subplots())
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=80)
        rows = [[row[name] for name in _COLUMNS] for row in to_rows(self)]
        chart = Picture(png=out.getvalue(), caption="Clear share of the area in each scene")
        return Shown(
            title="Clear sky",
            pictures=[chart],
            heads=[name.replace("_pct", " %") for name in _COLUMNS],
            rows=rows,
            notes=in_words(self),
        ).html()


def _draw(series: types.Series, ax: Axes) -> None:
    for each in series.stretches:
        if each.state in ("never searched", "partly searched"):
            ax.axvspan(each.start, each.end, color=_UNKNOWN, alpha=0.5, lw=0, zorder=0)  # type: ignore[arg-type]
    for sensor in sorted({each.sensor for each in series.scenes}):
        seen = [each for each in series.scenes if each.sensor == sensor and each.is_there]
        clear = [each.percent(*USABLE) for each in seen]
        ax.plot([each.time for each in seen], clear, "o-", ms=4, lw=1, label=sensor)  # type: ignore[arg-type]
    ax.axhline(CLEAR_PERCENT, color="0.5", lw=0.8, ls="--")
    ax.set(ylim=(-3, 103), ylabel="clear, % of the area")
    if series.asked is not None:
        ax.set_xlim(series.asked.start, series.asked.end)  # type: ignore[arg-type]
    if series.scenes:
        ax.legend(frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0, 1))
