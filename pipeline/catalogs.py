"""Tables of named STAC endpoints: a new one is a new row.

A job names a row (``catalog: earth-search``) or gives a URL or a path; a URL that no row has is
used with the defaults of `Catalog`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """One STAC endpoint and how it wants to be asked."""

    url: str
    collections: tuple[str, ...] = ()
    """Collections of it that `pipeline.sensors` knows; asked for when a job names none."""
    page_size: int = 100
    """Items a page. Large pages of large items end in 502 (Element84/earth-search#17)."""


CATALOGS: dict[str, Catalog] = {
    "earth-search": Catalog(
        url="https://earth-search.aws.element84.com/v1",
        collections=("sentinel-2-l2a", "landsat-c2-l2"),
    ),
}


def find(name: str) -> Catalog:
    """Return the row of a name, or the defaults for a URL or path."""
    return CATALOGS.get(name, Catalog(url=name))
