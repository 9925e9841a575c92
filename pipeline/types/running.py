"""The sections of a job that change no pixel: how a run behaves, and the catalogue that it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.types.settings import Section
from pipeline.types.values import Bytes, Count, Text, refuse


class ClusterSettings(Section):
    """Which processes do the tiles."""

    kind: Literal["threads", "local", "address"] = "threads"
    """``threads``: the run's own process, tile by tile. ``local``: worker processes of this machine,
    started and stopped by the run. ``address``: those of a Dask cluster that runs already."""
    workers: Count = 2
    """Processes of a ``local`` cluster, each with `run.workers` threads."""
    address: str = ""
    """Of the scheduler, e.g. ``tcp://scheduler:8786``. Its workers must reach the store under the
    same name, and the catalogue's assets, with credentials of their own environment."""
    mask_on: Mapping[Text, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = {}
    """Dask resources that a worker must have to mask, e.g. ``{GPU: 1}`` for workers started with
    ``--resources GPU=1``; any worker makes composites. Empty: a GPU if the model runs on one."""

    @model_validator(mode="after")
    def _address_where_needed(self) -> Self:
        if self.kind == "address" and not self.address:
            refuse("a URL such as tcp://scheduler:8786", key="address", found=self.address)
        if self.kind != "address" and self.address:
            refuse("nothing unless kind is address", key="address", found=self.address)
        return self


class RunSettings(Section):
    """How a run behaves; none of it changes a pixel."""

    workers: Count = 2
    """Threads that read and mask inside a tile."""
    read_ahead: Annotated[
        Annotated[int, Field(strict=True, ge=0)] | None,
        Field(exclude_if=lambda value: value is None),
    ] = None
    """Further threads that read and decode while those wait for a model or compute. None: as many as `workers` where
    threads wait, for servers or a GPU, else 0."""
    cluster: ClusterSettings = ClusterSettings()
    memory_bytes: Bytes | None = None
    """What the run may use, in bytes or as ``4 GiB``; none: what the machine has."""
    overviews: bool = False
    """Store smaller copies of masks and composites, for maps; a third more bytes."""
    min_completeness: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.9
    """Share of the expected cells (scene × tile, 0 to 1) that must be complete, else nothing is
    published. Expected are the cells that the job's items cover. An item that was dropped, at the
    search or later, makes the cells incomplete that it covers or, by its footprint, would have
    covered; one without a footprint, all. Not counted: what a newer processing replaces."""


class StacSettings(Section):
    """A static STAC catalogue of the whole store, updated by every run."""

    folder: Text
    """Local folder of the catalogue; one that cloudmask wrote before is updated."""
    cogs: bool = False
    """Write the pixels beside the items as COGs, for GDAL, QGIS and odc-stac."""
