"""HTML that notebooks show: pictures, a legend, numbers. Whatever comes from outside is escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jinja2
from markupsafe import Markup

from pipeline.types import LEGEND, LegendEntry

_TEMPLATE = jinja2.Environment(
    autoescape=True, trim_blocks=True, lstrip_blocks=True
).from_string(
    """\
<div style="font: 13px/1.4 sans-serif">
<p style="margin: 0 0 6px"><b>{{ shown.title }}</b>{% if shown.about %} · {{ shown.about }}{% endif %}</p>
{% if shown.pictures %}
<div style="display: flex; flex-wrap: wrap; gap: 8px">
{% for each in shown.pictures %}
<figure style="margin: 0"><img alt="{{ each.caption }}" src="data:image/png;base64,{{ each.base64 }}" \
style="max-width: 100%"><figcaption>{{ each.caption }}</figcaption></figure>
{% endfor %}
</div>
{% endif %}
{% if shown.legend %}
<p style="margin: 6px 0">
{% for each in shown.legend %}
<span style="white-space: nowrap; margin-right: 10px"><span style="display: inline-block; width: 11px; height: 11px; \
border: 1px solid #888; background: {{ each.colour }}"></span> {{ each.label }}</span>
{% endfor %}
</p>
{% endif %}
{% if shown.rows %}
<div style="max-height: 320px; overflow: auto"><table>
<thead><tr>{% for each in shown.heads %}<th style="text-align: left">{{ each }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in shown.rows %}
<tr>{% for each in row %}<td style="text-align: left">{{ each }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
{% endif %}
{% for each in shown.notes %}
<p style="margin: 4px 0">{{ each }}</p>
{% endfor %}
{% if shown.inner %}
<details><summary>xarray</summary>{{ shown.inner }}</details>
{% endif %}
</div>
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A PNG and what stands below it."""

    png: bytes
    caption: str

    @property
    def base64(self) -> str:
        """The PNG as text."""
        return b64encode(self.png).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a notebook shows of an object."""

    title: str
    about: str = ""
    pictures: Sequence[Picture] = ()
    legend: Iterable[LegendEntry] = ()
    heads: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = field(default=())
    notes: Sequence[str] = ()
    inner: str = ""
    """HTML of xarray, trusted as xarray is."""

    def html(self) -> str:
        """Return it as HTML."""
        return _TEMPLATE.render(shown=_Trusted(self))


class _Trusted:
    """`Shown` for the template: all is text but the HTML of xarray."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        # xarray escapes the values that it shows.
        self.inner = Markup(shown.inner)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- any field
        return getattr(self._shown, name)


def legend_of(codes: Iterable[int]) -> list[LegendEntry]:
    """Return the entries of the legend for some codes."""
    wanted = set(codes)
    return [each for each in LEGEND if int(each.code) in wanted]
