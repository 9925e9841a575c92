"""What a training writes: checkpoints that it can go on from, curves, and the model folder.

Every file appears under its name once it is whole: a kill or a full disk in the middle of writing leaves the
one that was there before.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from pydantic import ValidationError

from pipeline.errors import TrainingError
from pipeline.models.networks.network import Network
from pipeline.models.networks.trained import as_file
from pipeline.models.weights.folder import CARD, METRICS, WEIGHTS, FolderCard
from pipeline.training.experiment import Experiment

CHECKPOINT = "checkpoint.pt"
CURVES = "curves.csv"
EXPERIMENT = "experiment.yaml"

Row = Mapping[str, float]


@dataclass(slots=True)
class Progress:
    """Where a training stands."""

    step: int = 0
    """Steps that are done."""
    best: float = -1.0
    stale: int = 0
    """Checks since the best."""


class Folder:
    """The folder of one training."""

    def __init__(self, path: Path, experiment: Experiment) -> None:
        """Open a folder, new or of the same experiment.

        Raises
        ------
        TrainingError
            It holds another experiment, or cannot be written.
        """
        self.path = path
        self._experiment = experiment
        text = yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False)
        known = path / EXPERIMENT
        if known.is_file() and not _is(experiment, known):
            raise TrainingError(
                f"{path} holds another experiment, or other settings of this one: {known} says which; "
                "give another folder, or delete this one"
            )
        _write(known, text.encode())

    @property
    def begun(self) -> bool:
        """Whether there is a checkpoint."""
        return (self.path / CHECKPOINT).is_file()

    def load(self) -> dict[str, Any] | None:
        """Return the last checkpoint; none: there is none yet.

        Raises
        ------
        TrainingError
            It is damaged.
        """
        path = self.path / CHECKPOINT
        if not path.is_file():
            return None
        try:
            found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        # Whatever a reader of zip files and pickles stumbles over.
        except Exception as error:
            raise TrainingError(
                f"{path} is damaged: {error}; delete it to begin again"
            ) from error
        return found

    def save(self, state: Mapping[str, Any], rows: Sequence[Row]) -> None:
        """Write a checkpoint, and the curves up to it.

        Raises
        ------
        TrainingError
            The disk is full, or the folder cannot be written; the last checkpoint stays.
        """
        written = io.BytesIO()
        torch.save(dict(state), written)
        _write(self.path / CHECKPOINT, written.getvalue())
        text = io.StringIO()
        if rows:
            table = csv.DictWriter(text, fieldnames=list(rows[-1]))
            table.writeheader()
            table.writerows(rows)
        _write(self.path / CURVES, text.getvalue().encode())

    def publish(self, net: Network, step: int, measures: Row) -> None:
        """Write the model folder: weights, card and metrics.

        Raises
        ------
        TrainingError
            As of `save`.
        """
        card = _card(self._experiment, step, measures)
        metrics = {"step": step, "simulated": {key: round(v, 4) for key, v in measures.items()}}
        _write(self.path / WEIGHTS, as_file(net))
        _write(self.path / METRICS, json.dumps(metrics, indent=2).encode())
        _write(self.path / CARD, card.model_dump_json(indent=2).encode())


def _is(experiment: Experiment, known: Path) -> bool:
    """Return whether a folder's experiment is this one; settings that came later have their defaults."""
    try:
        return (
            Experiment.model_validate(yaml.safe_load(known.read_text(encoding="utf-8")))
            == experiment
        )
    except (ValidationError, yaml.YAMLError):
        return False


def _card(experiment: Experiment, step: int, measures: Row) -> FolderCard:
    learnt = [*experiment.sources, *experiment.task.like]
    sets = [each.dataset for each in learnt if each.dataset is not None]
    streams = [each.stream for each in experiment.sources if each.stream is not None]
    regions = any(each.regions is not None for each in learnt)
    archives = [each.archive.sensor for each in learnt if each.archive is not None]
    sources = [
        *["the simulator's stream"] * bool(streams),
        *["the simulator's regions"] * regions,
        *dict.fromkeys(each.name for each in sets),
        # Where it lies is nobody else's business.
        *dict.fromkeys(f"masks of an archive of {sensor}" for sensor in archives),
    ]
    levels = sorted({level for each in streams for level in each.levels}) or ["L1C", "L2A"]
    shown = ", ".join(f"{key} {value:.3f}" for key, value in measures.items())
    return FolderCard(
        name=experiment.name,
        version=f"seed {experiment.seed}, step {step}",
        network=experiment.network.bare,
        classes=tuple(int(code) for code in experiment.network.classes),
        levels=tuple(levels),
        resolution_m=next(
            (each.pixels_m for each in experiment.sources if each.stream), (10.0, 60.0)
        ),
        weights=f"trained on {' and '.join(sources)}",
        licence=experiment.licence,
        # A data set may be a source twice, with other bands.
        leaks=tuple(
            dict.fromkeys(
                f"{each.name}: trained on all images"
                + (f" but {', '.join(each.leave_out)}" if each.leave_out else "")
                for each in sets
            )
        ),
        accuracy=f"on simulated patches of another seed: {shown}",
        caveats=experiment.notes,
    )


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise TrainingError(
            f"{path} cannot be written: {error.strerror or error}; what was written before it is still "
            "there: make room and start the same command again"
        ) from error
