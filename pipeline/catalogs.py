"""Tables of named STAC endpoints and of the storages that their assets lie in.

A job names a row of `CATALOGS` (``catalog: earth-search``) or gives a URL or a path; a URL that no
row has is used with the defaults of `Catalog`. `pipeline.sensors` knows the bands of
the collections; how an asset is reached depends on where it lies, in `STORAGES`, whichever
catalogue names it. Adding a catalogue is adding a row to one table or to both: see
docs/catalogues.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

Signing = Literal[
    "none",
    "planetary-computer-sas",
    "requester-pays",
    "earthdata",
    "cdse-s3",
    "web-login",
]
"""What reading assets asks for; `pipeline.access` does it. ``none``: any client may;
``planetary-computer-sas``: a token of minutes in the query; ``requester-pays``: an AWS account that
pays for the transfer; ``earthdata``: a login of NASA Earthdata; ``cdse-s3``: S3 keys of the Copernicus
Data Space; ``web-login``: a session of a browser, so that alternates are read instead. Search needs
none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """One STAC endpoint and how it is searched."""

    url: str
    collections: tuple[str, ...] = ()
    """Collections that are searched when a job names none: one level, no scene twice."""
    also: tuple[str, ...] = ()
    """Further collections of it that `pipeline.sensors` knows."""
    page_size: int = 100
    """Items a page. Earth Search fails above 267 items or a few megabytes (Element84/earth-search#60,
    #17), CMR gives 100 at most (nasa/cmr-stac#411), the Planetary Computer 1000 (allenai/rslearn#418),
    Explorer 20 unasked (opendatacube/datacube-explorer#575); 100 suits all of them."""
    signing: Signing = "none"
    """What reading most of its assets asks for; the table that decides is `STORAGES`."""
    signing_of: Mapping[str, Signing] = field(default_factory=dict)
    """Collections of it that differ from `signing`."""
    requests_per_second: float | None = None
    """Its rate limit for one client, where it publishes one."""
    note: str = ""
    """What to know of it, with sources."""

    def signing_for(self, collection: str) -> Signing:
        """Return the access that reading the assets of a collection needs."""
        return self.signing_of.get(collection, self.signing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where assets lie, and the access that reading there needs."""

    signing: Signing
    hosts: tuple[str, ...] = ()
    """Hosts of its https URLs, ``*`` standing for any letters."""
    buckets: tuple[str, ...] = ()
    """Its S3 buckets, however a URL names them."""
    region: str | None = None
    """AWS region of the buckets."""
    endpoint: str | None = None
    """Host that serves the buckets where it is not AWS."""
    tokens: str | None = None
    """URL that gives tokens, by ``/ACCOUNT/CONTAINER`` after it."""
    connections: int = 16
    """Concurrent reads that it allows one client; 16 where it publishes no limit."""
    same_as: Mapping[str, str] = field(default_factory=dict)
    """Where the same files lie too, by beginning of the path: that is read instead."""
    account: str = ""
    """Page where one gets an account, or learns how to read."""


CATALOGS: dict[str, Catalog] = {
    "earth-search": Catalog(
        url="https://earth-search.aws.element84.com/v1",
        collections=("sentinel-2-l2a", "landsat-c2-l2"),
        also=("sentinel-2-c1-l2a", "sentinel-2-pre-c1-l2a", "sentinel-2-l1c"),
        signing_of={"landsat-c2-l2": "requester-pays", "sentinel-2-l1c": "requester-pays"},
        note=(
            "Sentinel-2 L2A is open COGs; landsat-c2-l2 and sentinel-2-l1c point at buckets whose "
            "reader pays (storage:requester_pays of the items): they need an AWS account. "
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
            "Assets need a token that expires within the hour; it is got without an account just "
            "before each read (https://planetarycomputer.microsoft.com/docs/concepts/sas; "
            "microsoft/PlanetaryComputer#418). Its token server answers 429 at times (#457), and search "
            "fails for whole days (microsoft/PlanetaryComputer#476). landsat-8-c2-l2 is retired; saved items are read."
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
            "an account, in CLOUDMASK_CDSE_S3_KEY and CLOUDMASK_CDSE_S3_SECRET "
            "(https://documentation.dataspace.copernicus.eu/APIs/S3.html). Its 429 comes with "
            "Retry-After: 2 after 5 requests in a second (e-sensing/sits#1560), and a client has four "
            "connections to the files (https://documentation.dataspace.copernicus.eu/Quotas.html). JPEG 2000, not COG: windows cost more."
        ),
    ),
    "usgs-landsatlook": Catalog(
        url="https://landsatlook.usgs.gov/stac-server",
        collections=("landsat-c2l2-sr",),
        also=("landsat-c2l2-st", "landsat-c2l1"),
        signing="requester-pays",
        note=(
            "The items' https links need a login of USGS in a browser, so the same files in "
            "s3://usgs-landsat are read, whose reader pays: they need an AWS account "
            "(https://www.usgs.gov/landsat-missions/landsat-commercial-cloud-data-access). Surface "
            "temperature is a collection of its own."
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
            "Assets need a login of NASA Earthdata, in CLOUDMASK_EARTHDATA_TOKEN or ~/.netrc, and "
            "the CRS stands in their headers alone (https://lpdaac.usgs.gov/products/hlsl30v002/). "
            "Ids were HLSL30.v1.5 and HLSL30.v2.0 before: saved items of those are read."
        ),
    ),
}


STORAGES: dict[str, Storage] = {
    "aws-open-us-west-2": Storage(
        # https://registry.opendata.aws/sentinel-2-l2a-cogs
        signing="none",
        buckets=("sentinel-cogs", "e84-earth-search-sentinel-data"),
        region="us-west-2",
        connections=32,
    ),
    "aws-sentinel-2": Storage(
        # https://registry.opendata.aws/sentinel-2: the original JPEG 2000 files.
        signing="requester-pays",
        buckets=("sentinel-s2-l1c", "sentinel-s2-l2a"),
        region="eu-central-1",
        connections=32,
        account="https://docs.aws.amazon.com/AmazonS3/latest/userguide/RequesterPaysBuckets.html",
    ),
    "aws-landsat": Storage(
        # https://registry.opendata.aws/usgs-landsat
        signing="requester-pays",
        buckets=("usgs-landsat",),
        region="us-west-2",
        connections=32,
        account="https://www.usgs.gov/landsat-missions/landsat-commercial-cloud-data-access",
    ),
    "deafrica": Storage(
        # https://registry.opendata.aws/deafrica-sentinel-2, …/deafrica-landsat
        signing="none",
        buckets=("deafrica-*",),
        region="af-south-1",
        connections=32,
    ),
    "dea": Storage(
        # https://registry.opendata.aws/dea: the bucket and its forerunner.
        signing="none",
        buckets=("dea-public-data", "dea-public-data-dev"),
        region="ap-southeast-2",
        connections=32,
    ),
    "planetary-computer": Storage(
        # Accounts as `msft:storage_account` of the collections says.
        signing="planetary-computer-sas",
        hosts=tuple(
            f"{account}.blob.core.windows.net"
            for account in ("sentinel2l2a01", "landsateuwest", "hls2euwest")
        ),
        tokens="https://planetarycomputer.microsoft.com/api/sas/v1/token",
        account="https://planetarycomputer.microsoft.com/docs/concepts/sas",
    ),
    "cdse": Storage(
        signing="cdse-s3",
        hosts=("eodata.dataspace.copernicus.eu", "eodata.*.dataspace.copernicus.eu"),
        buckets=("eodata",),
        endpoint="eodata.dataspace.copernicus.eu",
        region="default",
        # Four connections for a general user: https://documentation.dataspace.copernicus.eu/Quotas.html
        connections=4,
        account="https://documentation.dataspace.copernicus.eu/APIs/S3.html",
    ),
    "cdse-downloads": Storage(
        signing="web-login",
        hosts=("zipper.dataspace.copernicus.eu", "datahub.creodias.eu"),
        connections=4,
        account="https://documentation.dataspace.copernicus.eu/APIs/S3.html",
    ),
    "usgs-landsatlook": Storage(
        signing="web-login",
        hosts=("landsatlook.usgs.gov",),
        # As the alternates of its items say; some items have none.
        same_as={"/data/": "s3://usgs-landsat/"},
        account="https://www.usgs.gov/landsat-missions/landsat-commercial-cloud-data-access",
    ),
    "lpdaac": Storage(
        # https://lpdaac.usgs.gov/products/hlsl30v002: LP DAAC's cloud, and its archive before that.
        signing="earthdata",
        hosts=("data.lpdaac.earthdatacloud.nasa.gov", "lpdaac.earthdata.nasa.gov"),
        connections=8,
        account="https://urs.earthdata.nasa.gov/users/new",
    ),
}


def find(name: str) -> Catalog:
    """Return the row of a name, or the defaults for a URL or path."""
    return CATALOGS.get(name, Catalog(url=name))


def storage_of(*, host: str = "", bucket: str = "") -> Storage | None:
    """Return the storage that a host of https URLs or an S3 bucket belongs to, or none."""
    for storage in STORAGES.values():
        names, patterns = (bucket, storage.buckets) if bucket else (host, storage.hosts)
        if any(fnmatchcase(names.lower(), pattern) for pattern in patterns):
            return storage
    return None
