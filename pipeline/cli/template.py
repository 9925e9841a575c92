"""The job file that `init` and `demo` write: the main settings, each with a comment."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

TEXT = """\
# A job of cloudmask: `cloudmask plan JOB` says what it would do, `cloudmask run JOB` does it.
# `cloudmask schema` lists everything that may stand here.
name: {name}
aoi: {aoi}  # west, south, east, north; or GeoJSON, WKT, a vector file
datetime: {datetime}  # UTC; the last day is included. 2023-06-01/.. ends with the current month
sources:
  - catalog: {catalog}  # a name, the URL of a STAC API or catalogue, or a file
    # collections: [sentinel-2-l2a]  # left out: all that cloudmask knows
    # query: {{"eo:cloud_cover": {{lt: 90}}}}
grid:
  crs: utm  # or any projected CRS in metres
  resolution_m: 20
  tile_px: {tile_px}  # the unit of work, retry and commit; a multiple of 256
mask:
  model: ensemble  # the mean of two networks; `cloudmask models list` says what each needs and cannot do
  # clean: {{cloud: {{dilate_m: 60}}}}  # widen clouds
composite:  # or `composites:`, a list of several, made from one reading
  name: monthly
  method: median
  period: month  # dekad, season, year, all, {{days: 16}}
  bands: [blue, green, red, nir, swir16]
  # min_observations: 2  # pixels with fewer are no data
  # max_observations: 8  # take those of the clearest scenes alone
  screen: {{}}  # put aside clouds and shadows that masks missed, by each pixel's other dates
store: {store}  # a path, s3://…, gs://…
run: {{overviews: true}}  # smaller copies, for `cloudmask serve`; workers: 2 are threads inside a tile
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The settings that differ from job to job."""

    name: str
    aoi: str
    """As in a job file, or ``west,south,east,north``."""
    datetime: str
    catalog: str
    store: str
    tile_px: int = 2048

    def text(self) -> str:
        """Return the job file."""
        numbers = self.aoi.split(",")
        bbox = len(numbers) == 4 and not set(self.aoi) - set("0123456789+-.eE, ")
        aoi = f"[{', '.join(each.strip() for each in numbers)}]" if bbox else _quoted(self.aoi)
        return TEXT.format(
            name=self.name,
            aoi=aoi,
            datetime=_quoted(self.datetime),
            catalog=_quoted(self.catalog),
            store=_quoted(self.store),
            tile_px=self.tile_px,
        )


def _quoted(text: str) -> str:
    """Return a text as YAML has it on one line."""
    return (
        str(yaml.safe_dump(text, allow_unicode=True, width=10**6))
        .removesuffix("...\n")
        .rstrip("\n")
    )
