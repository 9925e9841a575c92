"""What a Zarr group says of its pixels, so that programs which know nothing of us find CRS, place and levels.

The conventions `proj`, `spatial` and `multiscales` of GeoZarr (v0.1), attributes alone; `zarr-cm` validates them in tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

Attributes = dict[str, Any]


def _declared(name: str, uuid: str, description: str) -> dict[str, str]:
    tree = f"zarr-conventions/{name}"
    return {
        "uuid": uuid,
        "schema_url": f"https://raw.githubusercontent.com/{tree}/refs/tags/v0.1/schema.json",
        "spec_url": f"https://github.com/{tree}/blob/v0.1/README.md",
        "name": name,
        "description": description,
    }


PROJ = _declared(
    "proj",
    "f17cb550-5864-4468-aeb7-f3180cfb622f",
    "Coordinate reference system information for geospatial data",
)
SPATIAL = _declared(
    "spatial", "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4", "Spatial coordinate information"
)
MULTISCALES = _declared(
    "multiscales",
    "d35379db-88df-4056-af3a-620245f8e347",
    "Multiscale layout of zarr datasets",
)
KEYS = ("zarr_conventions", "multiscales", "proj:", "spatial:")
"""How the names of all these attributes begin."""


def of_pixels(geobox: GeoBox) -> Attributes:
    """Return the attributes of a group whose arrays end with the dimensions y and x of a grid."""
    crs = geobox.crs
    assert crs is not None, "pixels of ours have a CRS"
    code = {} if crs.epsg is None else {"proj:code": f"EPSG:{crs.epsg}"}
    return {
        "zarr_conventions": [PROJ, SPATIAL],
        **code,
        "proj:wkt2": crs.proj.to_wkt("WKT2_2019"),
        "spatial:dimensions": ["y", "x"],
        "spatial:bbox": [float(each) for each in geobox.boundingbox.bbox],
        **_place(geobox),
    }


def of_levels(base: GeoBox, levels: Mapping[str, GeoBox]) -> Attributes:
    """Return the attributes of a group with overviews.

    Parameters
    ----------
    base
        The grid of the group's own arrays.
    levels
        Name of the group of each overview -> its grid, finest first: each half as fine as the one before.
    """
    layout: list[Attributes] = [{"asset": ".", **_place(base)}]
    for name, geobox in levels.items():
        layout.append(
            {
                "asset": name,
                "derived_from": layout[-1]["asset"],
                "transform": {"scale": [2.0, 2.0], "translation": [0.0, 0.0]},
                **_place(geobox),
            }
        )
    return {
        **of_pixels(base),
        "zarr_conventions": [MULTISCALES, PROJ, SPATIAL],
        "multiscales": {"layout": layout},
    }


def without(attributes: Mapping[str, Any]) -> Attributes:
    """Return attributes without those of these conventions, which do not hold for a part of the pixels."""
    return {name: each for name, each in attributes.items() if not name.startswith(KEYS)}


def _place(geobox: GeoBox) -> Attributes:
    return {
        "spatial:transform": [float(each) for each in tuple(geobox.affine)[:6]],
        "spatial:shape": [int(each) for each in geobox.shape],
    }
