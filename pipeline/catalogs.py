"""Tables of named STAC endpoints: a new one is a new row.

A job names a row (``catalog: earth-search``) or gives a URL or a path; a URL that no row has is
used with the defaults of `Catalog`. What the collections hold is told in `pipeline.sensors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Signing = Literal["none", "planetary-computer-sas", "requester-pays", "earthdata", "cdse-s3"]
"""What reading the assets asks for. ``none``: any client may; ``planetary-computer-sas``: a token of
minutes in the query; ``requester-pays``: an AWS account that pays for the transfer; ``earthdata``: a
login of NASA Earthdata; ``cdse-s3``: S3 keys of the Copernicus Data Space. Search needs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """One STAC endpoint and how it wants to be asked."""

    url: str
    collections: tuple[str, ...] = ()
    """Collections of it that are asked for when a job names none: one level, no scene twice."""
    also: tuple[str, ...] = ()
    """Further collections of it that `pipeline.sensors` knows."""
    page_size: int = 100
    """Items a page. Large pages of large items end in 502 (Element84/earth-search#17)."""
    signing: Signing = "none"
    """What reading its assets asks for. Only ``none`` is done so far: see `note`."""
    signing_of: Mapping[str, Signing] = field(default_factory=dict)
    """Collections of it that differ from `signing`."""
    requests_per_second: float | None = None
    """What it allows a client, where it says so; not enforced so far."""
    note: str = ""
    """What to know of it, with sources."""

    def signing_for(self, collection: str) -> Signing:
        """Return what reading the assets of a collection asks for."""
        return self.signing_of.get(collection, self.signing)


CATALOGS: dict[str, Catalog] = {
    "earth-search": Catalog(
        url="https://earth-search.aws.element84.com/v1",
        collections=("sentinel-2-l2a", "landsat-c2-l2"),
        also=("sentinel-2-c1-l2a", "sentinel-2-pre-c1-l2a", "sentinel-2-l1c"),
        signing_of={"landsat-c2-l2": "requester-pays", "sentinel-2-l1c": "requester-pays"},
        note=(
            "Sentinel-2 L2A is open COGs; landsat-c2-l2 and sentinel-2-l1c point at buckets whose "
            "reader pays (storage:requester_pays of the items), which is not implemented yet. "
            "sentinel-2-l2a is shifted by the catalogue, sentinel-2-c1-l2a is not "
            "(Element84/earth-search#9, #41). Throttled requests answer Forbidden "
            "(Element84/earth-search#19)."
        ),
    ),
    "planetary-computer": Catalog(
        url="https://planetarycomputer.microsoft.com/api/stac/v1",
        collections=("sentinel-2-l2a", "landsat-c2-l2"),
        also=("hls2-s30", "hls2-l30", "landsat-c2-l1"),
        signing="planetary-computer-sas",
        note=(
            "Assets need a token that expires within the hour; signing is not implemented yet, so "
            "name items signed beforehand (https://planetarycomputer.microsoft.com/docs/concepts/sas; "
            "microsoft/PlanetaryComputer#418). Search fails for whole days at times "
            "(microsoft/PlanetaryComputer#476). landsat-8-c2-l2 is retired; saved items are read."
        ),
    ),
    "cdse": Catalog(
        url="https://stac.dataspace.copernicus.eu/v1",
        collections=("sentinel-2-l2a",),
        also=("sentinel-2-l1c",),
        signing="cdse-s3",
        requests_per_second=5.0,
        note=(
            "Assets are s3://eodata at https://eodata.dataspace.copernicus.eu and need S3 keys of "
            "an account; not implemented yet "
            "(https://documentation.dataspace.copernicus.eu/APIs/S3.html). The 429 of its limit "
            "may come disguised (e-sensing/sits#1560). JPEG 2000, not COG: windows cost more."
        ),
    ),
    "usgs-landsatlook": Catalog(
        url="https://landsatlook.usgs.gov/stac-server",
        collections=("landsat-c2l2-sr",),
        also=("landsat-c2l2-st", "landsat-c2l1"),
        signing="requester-pays",
        note=(
            "The items' https links need a login of USGS; their alternates are in s3://usgs-landsat, "
            "whose reader pays (https://www.usgs.gov/landsat-missions/landsat-commercial-cloud-data-"
            "access). Neither is implemented yet. Surface temperature is a collection of its own."
        ),
    ),
    "deafrica": Catalog(
        url="https://explorer.digitalearth.africa/stac",
        collections=("s2_l2a", "ls5_sr", "ls7_sr", "ls8_sr", "ls9_sr"),
        also=("s2_l2a_c1",),
        note=(
            "Open buckets of deafrica-*, in af-south-1, by s3:// without signature "
            "(https://docs.digitalearthafrica.org). Copies of Earth Search and of USGS."
        ),
    ),
    "dea": Catalog(
        url="https://explorer.dea.ga.gov.au/stac",
        collections=(
            *(f"ga_s2{platform}m_ard_3" for platform in "abc"),
            *(f"ga_ls{platform}_ard_3" for platform in ("5t", "7e", "8c", "9c")),
        ),
        note=(
            "Open bucket s3://dea-public-data, in ap-southeast-2, without signature "
            "(https://knowledge.dea.ga.gov.au). NBART: corrected to a nadir view and for terrain, "
            "so not ESA's or USGS's reflectance."
        ),
    ),
    "cmr-lpcloud": Catalog(
        url="https://cmr.earthdata.nasa.gov/stac/LPCLOUD",
        collections=("HLSL30_2.0", "HLSS30_2.0"),
        signing="earthdata",
        note=(
            "Assets need a login of NASA Earthdata, and the CRS is told by their headers alone; "
            "neither is implemented yet (https://lpdaac.usgs.gov/products/hlsl30v002/). Ids were "
            "HLSL30.v1.5 and HLSL30.v2.0 before: saved items of those are read."
        ),
    ),
}


def find(name: str) -> Catalog:
    """Return the row of a name, or the defaults for a URL or path."""
    return CATALOGS.get(name, Catalog(url=name))
