"""Commands that make models: training from an experiment file, and export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import show
from pipeline.cli.commands.models import read_options
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.training import Experiment


def train(
    experiment: Annotated[
        Path, typer.Argument(metavar="EXPERIMENT", help="YAML file; see docs/training.md.")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Model folder; resumed if begun.")],
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="As in the file: train.steps=100."),
    ] = None,
) -> None:
    """Train a model, or resume a training."""
    from pipeline.training import read_experiment

    read = read_experiment(experiment, read_options(given or ()))
    show.lines([str(_run(read, out))])


def _run(experiment: Experiment, out: Path) -> Path:
    try:
        from pipeline.training.loop import train as run
    except ModuleNotFoundError as error:
        if error.name != "lightning_fabric":
            raise
        raise ConfigError("training needs Lightning Fabric: install cloudmask[train]") from None
    return run(experiment, out, show.note)


def export_model(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Model folder of `train`, or cloudmask-si.")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="ONNX file to write.")],
    roles: Annotated[str, typer.Option(help="Bands, in their order.")] = "blue,green,red,nir",
) -> None:
    """Write a trained model as ONNX, for some bands."""
    from pipeline.models.export import export_onnx
    from pipeline.models.weights.folder import SHIPPED_NAMES, folder_of

    folder = folder_of(model, "" if model in SHIPPED_NAMES else model)
    names = [each.strip() for each in roles.split(",") if each.strip()]
    show.lines([str(export_onnx(folder, names, out))])
