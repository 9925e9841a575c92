"""What an experiment's `task:` may say; free of torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pipeline.models.architectures.shape import listed
from pipeline.training.sections import SourceSection
from pipeline.types.settings import Section

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class SupervisedSection(Section):
    """A network learns from labels."""

    kind: Literal["supervised"] = "supervised"

    @property
    def like(self) -> tuple[SourceSection, ...]:
        """The sources of a second kind of images: none."""
        return ()


class CycleGanSection(Section):
    """A generator makes images of the experiment's `sources` look like those of `like`; see `pipeline.training.tasks.cycle_gan`."""

    kind: Literal["cycle-gan"]
    like: Annotated[tuple[SourceSection, ...], BeforeValidator(listed), Field(min_length=1)]
    """Images as they should look: those that the segmenter was trained on. No label is read."""
    segmenter: str
    """Model folder of a `dl-l8s2-uv` for the same bands; it stays as it is."""
    identity: Weight = 5.0
    cycle: Weight = 5.0
    segmentation: Weight = 1.0
    r1: Weight = 10.0


class BlocksSection(Section):
    """A `gan-cdm` learns from blocks that are called cloudy or clear; see `pipeline.training.tasks.blocks`."""

    kind: Literal["gan-cdm"]
    cloudy: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Least share of sure cloud of a block that is called cloudy; one that cannot have any cloud is called clear, others teach nothing."""
    reconstruction: Weight = 10.0
    exclusion: Weight = 1.0

    @property
    def like(self) -> tuple[SourceSection, ...]:
        """The sources of a second kind of images: none."""
        return ()


AnyTask = Annotated[
    SupervisedSection | CycleGanSection | BlocksSection, Field(discriminator="kind")
]
"""A task, chosen by its `kind`."""
