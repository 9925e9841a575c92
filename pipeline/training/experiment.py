"""An experiment file: what is trained on what, and how; every key checked, every mistake on a line of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)

from pipeline.config.files import overridden, read_yaml
from pipeline.config.mistakes import Location, mistakes, path_of
from pipeline.errors import ConfigError
from pipeline.models.architectures import ARCHITECTURES, AnyShape, SpectralUnetShape
from pipeline.models.architectures.shape import listed
from pipeline.training.sections import (
    Count,
    Positive,
    Share,
    SourceSection,
    StreamSection,
)
from pipeline.training.tasks.sections import AnyTask, SupervisedSection
from pipeline.types.settings import Section
from pipeline.types.values import refuse

KNOWN_LOSSES = ("cross_entropy", "square", "tversky", "lovasz")

TRAINS: Mapping[str, str] = {"cycle-gan": "adapted", "gan-cdm": "gan-cdm"}
"""Task -> the one network that it trains; others train any."""
PLAIN: Mapping[str, Any] = {"devices": 1, "compile": False, "precision": "32-true"}
"""What tasks with a discriminator are trained with."""
DOMAINS_APART = 7_919
"""Between the seeds of images and of those that they shall look like: no patch is the other's pair."""


class AugmentSection(Section):
    """How samples are varied; see `pipeline.training.augment`."""

    gain: Annotated[float, Field(ge=0, le=0.5)] = 0.12
    band_gain: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    haze: Annotated[float, Field(ge=0, le=0.3)] = 0.03
    noise: Annotated[float, Field(ge=0, le=0.1)] = 0.006
    blur: Share = 0.15
    scale: Annotated[tuple[Positive, Positive], BeforeValidator(listed)] = (0.6, 1.25)
    gaps: Share = 0.15
    """Share of samples of which a part is no data."""


class LossSection(Section):
    """Losses by their weights, and how much each class counts."""

    cross_entropy: Annotated[float, Field(ge=0)] = 1.0
    square: Annotated[float, Field(ge=0)] = 0.0
    tversky: Annotated[float, Field(ge=0)] = 0.0
    lovasz: Annotated[float, Field(ge=0)] = 0.0
    class_weights: Mapping[str, Positive] = {}
    """Class, as `thin_cloud`, -> weight; 1 where none is given."""

    @model_validator(mode="after")
    def _some(self) -> LossSection:
        if not any(getattr(self, name) for name in KNOWN_LOSSES):
            refuse("a weight above zero for one of the losses", key="cross_entropy", found=0)
        return self


class TrainSection(Section):
    """How long, how fast, on what."""

    steps: Count = 4000
    batch: Count = 12
    crop_px: Annotated[int, Field(ge=32, multiple_of=16)] = 256
    lr: Positive = 2e-3
    """Highest learning rate, reached after `warm_up` steps, from which it falls to zero as a cosine."""
    warm_up: Annotated[int, Field(ge=0)] = 200
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    average: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Weights that are judged and kept are a running average: how much of it stays at each step; 0: the last ones."""
    clip: Positive = 1.0
    """Longest gradient."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    devices: Count = 1
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Count = 1
    """Of torch on a CPU."""
    compile: bool = False
    """Compile network and losses: two minutes at the start, a quarter less for each step on a CPU; needs a C++ compiler."""
    workers: Annotated[int, Field(ge=0)] = 1
    """Processes that make samples; none: the training's own."""
    check_every: Count = 250
    """Steps after which it is judged, and a checkpoint written."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Checks without a better score after which it ends; 0: never before `steps`."""
    keep: Literal["best", "last"] = "best"
    """Weights that the folder ends with: those of the best check, or of the last where real images count more than the
    simulated patches of the checks."""
    check_patches: Count = 32
    """Simulated patches that it is judged on: of another seed than those it learns from."""


class Experiment(Section):
    """The file as a whole."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    seed: Annotated[int, Field(ge=0)] = 1
    licence: str = "Apache-2.0"
    """Of the weights."""
    notes: str = ""
    network: AnyShape = SpectralUnetShape()
    """The architecture and its sizes, by its `kind`."""
    task: AnyTask = SupervisedSection()
    """What it learns from, and how, by its `kind`; without one it learns from labels."""
    sources: Annotated[
        tuple[SourceSection, ...], BeforeValidator(listed), Field(min_length=1)
    ] = (SourceSection(stream=StreamSection()),)
    augment: AugmentSection = AugmentSection()
    loss: LossSection = LossSection()
    train: TrainSection = TrainSection()

    @model_validator(mode="after")
    def _fits(self) -> Experiment:
        stride, fewest = self.network.stride_px, self.network.fewest_batch
        if self.train.crop_px % stride:
            refuse(
                f"a multiple of the network's stride ({stride})",
                key="train.crop_px",
                found=self.train.crop_px,
            )
        if self.train.batch < fewest:
            refuse(
                f"at least {fewest} for this network", key="train.batch", found=self.train.batch
            )
        lowest = self.network.lowest_px * stride
        if self.train.crop_px < lowest:
            refuse(
                f"at least {lowest} for this network",
                key="train.crop_px",
                found=self.train.crop_px,
            )
        told = [code.name.lower() for code in self.network.classes]
        for name in self.loss.class_weights:
            if name not in told:
                refuse(f"classes among {', '.join(told)}", key="loss.class_weights", found=name)
        return self

    @model_validator(mode="after")
    def _task_fits(self) -> Experiment:
        kind = TRAINS.get(self.task.kind)
        if kind is None:
            return self
        if self.network.kind != kind:
            refuse(
                f"{kind} for the task {self.task.kind}",
                key="network.kind",
                found=self.network.kind,
            )
        for name, wanted in PLAIN.items():
            found = getattr(self.train, name)
            if found != wanted:
                refuse(
                    f"{wanted} for the task {self.task.kind}", key=f"train.{name}", found=found
                )
        return self

    @property
    def domains(self) -> tuple[Experiment, ...]:
        """What batches are drawn from: this experiment, and one of the sources that its images shall look like."""
        if not self.task.like:
            return (self,)
        like = {"sources": self.task.like, "seed": self.seed + DOMAINS_APART}
        return self, self.model_copy(update=like)


def read_experiment(path: Path, overrides: Mapping[str, Any] | None = None) -> Experiment:
    """Read an experiment file.

    Parameters
    ----------
    path
        A YAML file.
    overrides
        Values that stand above those of the file, by key path: ``{"train.steps": 100}``.

    Raises
    ------
    ConfigError
        There is no such file, or it has mistakes: one line each, with its line in the file.
    """
    file = read_yaml(path)
    values = overridden(file.values, overrides or {})
    try:
        found = Experiment.model_validate(values)
    except ValidationError as error:
        wrong = [
            (_in_file(at), words)
            for at, words in mistakes(error, Experiment, lambda _: "a value")
        ]
    else:
        for source in found.sources:
            if source.stream is not None:
                source.stream.settings(64)
        return found
    raise ConfigError(
        "\n".join(f"{file.line_of(at)}: {path_of(at)}: {words}" for at, words in wrong)
    )


def _in_file(at: Location) -> Location:
    """Return a location without the name of the class that a shape was read as."""
    named = at[:1] == ("network",) and at[1:2] in [
        (each.__name__,) for each in ARCHITECTURES.values()
    ]
    return (at[0], *at[2:]) if named else at
