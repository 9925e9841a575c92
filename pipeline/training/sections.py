"""Sections of an experiment that name where images come from; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from pipeline.datasets import READERS, partial
from pipeline.models.architectures.shape import listed
from pipeline.simulate.patches import SENSORS, PatchSettings
from pipeline.types.settings import Section
from pipeline.types.values import refuse

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Words = Annotated[tuple[str, ...], BeforeValidator(listed)]


class StreamSection(Section):
    """The simulator as a source; see `pipeline.simulate.patches.PatchSettings`."""

    sensors: Words = PatchSettings().sensors
    levels: Annotated[tuple[Literal["L1C", "L2A"], ...], BeforeValidator(listed)] = (
        "L1C",
        "L2A",
    )
    pixels_m: Annotated[tuple[Positive, Positive], BeforeValidator(listed)] = (10.0, 60.0)
    bands: Annotated[tuple[Count, Count], BeforeValidator(listed)] = (3, 6)
    main_bands: Share = 0.5
    grounds: Mapping[str, float] | None = None
    """Kind of ground -> how often; none: all but those kept back."""
    skies: Mapping[str, float] | None = None
    roles: Words = ()
    """Just these bands, in this order, of every patch; none: `bands` and `main_bands` say how many are drawn."""

    def settings(self, size_px: int) -> PatchSettings:
        """Return what the simulator takes.

        Raises
        ------
        ConfigError
            It names a sensor, ground or sky that there is not.
        """
        given: dict[str, Any] = {
            key: value for key, value in dict(self).items() if value is not None
        }
        return PatchSettings(size_px=size_px, **given)


class DatasetSection(Section):
    """A labelled data set as a source."""

    name: Literal[tuple(READERS)]  # type: ignore[valid-type]
    path: str
    sensor: Literal[tuple(SENSORS)]  # type: ignore[valid-type]
    """Whose wavelengths its bands have."""
    roles: Words = ("blue", "green", "red", "nir")
    """Bands to use, where the set has them."""
    leave_out: Words = ()
    """Images whose ids begin so are never trained on: for judging."""
    teacher: str = ""
    """Model whose opinion on cloud narrows labels that leave it open; see `pipeline.training.teacher`."""
    skies: Share = 0.0
    """Share of the draws over which simulated clouds hang; see `pipeline.simulate.patches.real`."""


class RegionsSection(Section):
    """Simulated archives as a source; see `pipeline.simulate.patches.regional`."""

    main_bands: Share = 0.5


class ArchiveSection(Section):
    """Masks of an archive as a source; see `pipeline.training.archives`."""

    store: str
    """Path or URL of the archive."""
    sensor: Literal[tuple(SENSORS)]  # type: ignore[valid-type]
    """Whose scenes, and whose wavelengths their bands have."""
    roles: Words = ("blue", "green", "red", "nir")
    squares: Count = 64
    """Squares of two crops' edge that are read, and kept in memory."""
    shadows: bool = False
    """Whether its masks are believed where they tell shadow from clear ground; else only where they tell cloud."""
    skies: Share = 0.0
    """As of a data set."""


class SourceSection(Section):
    """One source of the mixture: a stream, simulated archives, a data set, or masks of an archive."""

    weight: Positive = 1.0
    stream: StreamSection | None = None
    regions: RegionsSection | None = None
    dataset: DatasetSection | None = None
    archive: ArchiveSection | None = None
    seen_as: Literal["proba-v"] | None = None
    """Sensor that its images, Landsat 8's at 30 m, are made like; see `pipeline.training.transfer`."""
    labels_of: Words = ()
    """Data sets through whose labels it is seen, one of them, drawn anew, for each scene; see `pipeline.datasets.partial`."""
    three_classes: bool = False
    """Whether its labels, or what `labels_of` leaves of them, tell clear ground, shadow and cloud alone."""

    @field_validator("labels_of")
    @classmethod
    def _say(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        able = [name for name, reader in READERS.items() if partial.says(reader.card)]
        for name in names:
            if name not in able:
                refuse(
                    f"data sets that label every class: {', '.join(able)}", key="", found=name
                )
        return names

    @model_validator(mode="after")
    def _landsat(self) -> SourceSection:
        if self.seen_as is None:
            return self
        for name in ("dataset", "archive"):
            given = getattr(self, name)
            if given is not None and given.sensor != "landsat-8":
                refuse(
                    "landsat-8 for images seen as Proba-V's",
                    key=f"{name}.sensor",
                    found=given.sensor,
                )
        if self.regions is not None:
            refuse("no regions to be seen as Proba-V's", key="regions", found=None)
        wanted = {"sensors": ("landsat-8",), "pixels_m": (30, 30), "bands": (7, 7)}
        for name, value in wanted.items() if self.stream else ():
            found = getattr(self.stream, name)
            if found != value:
                refuse(
                    f"{list(value)} for images seen as Proba-V's",
                    key=f"stream.{name}",
                    found=list(found),
                )
        return self

    @property
    def pixels_m(self) -> tuple[float, float]:
        """Finest and coarsest pixel of what is learnt from; 10 and 60 m where no stream says so."""
        finest, coarsest = self.stream.pixels_m if self.stream else (10.0, 60.0)
        return finest * self.times, coarsest * self.times

    @property
    def times(self) -> int:
        """How many pixels of a scene's edge make one of what is learnt from."""
        return 3 if self.seen_as else 1

    @model_validator(mode="after")
    def _one(self) -> SourceSection:
        kinds = (self.stream, self.regions, self.dataset, self.archive)
        if sum(each is not None for each in kinds) != 1:
            refuse(
                "one of `stream`, `regions`, `dataset` and `archive`", key="stream", found=None
            )
        return self
