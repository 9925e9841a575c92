"""The training itself: steps, checks and checkpoints.

Batch number *n* follows from the seed alone, and a checkpoint holds all else that a step depends on, so that a
training that was killed and started again ends with the weights of an undisturbed one (on one machine, with the
same number of threads).
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric, seed_everything
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pipeline.errors import TrainingError
from pipeline.models.networks.network import Network
from pipeline.training.batches import Batch, batches
from pipeline.training.experiment import Experiment
from pipeline.training.judging import Judged, check_patches, judge
from pipeline.training.output import Folder, Progress, Row
from pipeline.training.pretraining import pretrained
from pipeline.training.tasks.blocks import Blocks
from pipeline.training.tasks.cycle_gan import CycleGan
from pipeline.training.tasks.supervised import BFLOAT16, Supervised
from pipeline.training.tasks.task import Player, Task, Tensors

TASKS: Mapping[str, Callable[[Experiment], Task]] = {
    "supervised": Supervised,
    "cycle-gan": CycleGan,
    "gan-cdm": Blocks,
}
"""Kind of a task -> what makes it, of an experiment."""

Tell = Callable[[str], None]
"""Takes a line on how it goes."""


def train(experiment: Experiment, path: Path, tell: Tell | None = None) -> Path:
    """Train a network, from the beginning or from the last checkpoint of a folder.

    Parameters
    ----------
    experiment
        What, on what, how.
    path
        The model folder, which is also where checkpoints and curves are.
    tell
        Told of every check.

    Returns
    -------
    The folder.

    Raises
    ------
    TrainingError
        The loss is no number any more, the folder is another experiment's, or cannot be written.
    LabelledDataError
        A data set cannot be read.
    ModelError
        The folder that it should begin with holds another network.
    """
    section = experiment.train
    torch.set_num_threads(section.threads)
    fabric = Fabric(
        accelerator=section.accelerator,
        devices=section.devices,
        # The task's own; see `pipeline.training.tasks.supervised`.
        precision="32-true" if section.precision == BFLOAT16 else section.precision,
    )
    fabric.launch()
    seed_everything(experiment.seed, verbose=False)
    return _Training(experiment, path, fabric, tell or (lambda _: None)).run()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Turn:
    """A player, as Fabric has set it up."""

    player: Player
    module: torch.nn.Module
    optimizer: torch.optim.Optimizer


class _Training:
    def __init__(self, experiment: Experiment, path: Path, fabric: Fabric, tell: Tell) -> None:
        self.experiment = experiment
        self.fabric = fabric
        self.tell = tell
        self.folder = Folder(path, experiment)
        begun = self.folder.begun
        self.task = TASKS[experiment.task.kind](experiment)
        # On CPUs, convolutions of few channels are a tenth faster so.
        self.task.weights.to(memory_format=torch.channels_last)
        if not begun:
            for line in pretrained(experiment, self.task.net):
                tell(line)
        self.turns = [self._set_up(each) for each in self.task.players]
        self.average = AveragedModel(
            self.task.net, multi_avg_fn=_averaging(0.0), use_buffers=True
        )
        self.progress = Progress()
        self.rows: list[Row] = []
        self._resume()

    def _set_up(self, player: Player) -> _Turn:
        section = self.experiment.train
        optimizer = torch.optim.AdamW(
            player.module.parameters(),
            lr=section.lr,
            betas=player.betas,
            weight_decay=section.weight_decay,
        )
        module, optimizer = self.fabric.setup(player.module, optimizer)
        return _Turn(player=player, module=module, optimizer=optimizer)

    def run(self) -> Path:
        patches = check_patches(self.experiment)
        section, fabric = self.experiment.train, self.fabric
        lost: defaultdict[str, float] = defaultdict(float)
        since = time.perf_counter()
        with ExitStack() as stack:
            sources = [
                stack.enter_context(closing(self._batches(each)))
                for each in self.experiment.domains
            ]
            while self.progress.step < section.steps and not self._tired():
                for name, value in self._step([next(each) for each in sources]).items():
                    lost[name] += value
                if self._due():
                    took = time.perf_counter() - since
                    done = self.progress.step - (self.rows[-1]["step"] if self.rows else 0)
                    classes = tuple(self.experiment.network.classes)
                    judged = judge(self.kept, patches, fabric.device, classes)
                    means = {name: value / done for name, value in lost.items()}
                    self._note(judged, means | {"steps_per_s": done / took})
                    lost.clear()
                    since = time.perf_counter()
        return self.folder.path

    def _batches(self, experiment: Experiment) -> Generator[Batch, None, None]:
        rank, ranks = self.fabric.global_rank, self.fabric.world_size
        return batches(experiment, self.progress.step, rank=rank, ranks=ranks)

    @property
    def kept(self) -> Network:
        """The network of averaged weights."""
        kept = self.average.module
        assert isinstance(kept, Network)
        return kept

    def _due(self) -> bool:
        step, section = self.progress.step, self.experiment.train
        return step % section.check_every == 0 or step == section.steps

    def _tired(self) -> bool:
        patience = self.experiment.train.patience
        return bool(patience) and self.progress.stale >= patience

    def _step(self, drawn: Sequence[Batch]) -> Mapping[str, float]:
        """Take one step, a turn of each player, and return the loss of each before it."""
        # What is dropped at random follows from seed and step, too.
        torch.manual_seed(
            self.experiment.seed * 1_000_003
            + self.progress.step * self.fabric.world_size
            + self.fabric.global_rank
        )
        tensors = [Tensors.of(each, self.fabric.device) for each in drawn]
        lost = {turn.player.name: self._turn(turn, tensors) for turn in self.turns}
        self.progress.step += 1
        self._keep_average()
        return lost

    def _turn(self, turn: _Turn, tensors: Sequence[Tensors]) -> float:
        """Let a player move its weights, and return its loss before it."""
        section = self.experiment.train
        for group in turn.optimizer.param_groups:
            group["lr"] = learning_rate(self.experiment, self.progress.step)
        # Another's loss may have left gradients on these weights.
        turn.optimizer.zero_grad()
        loss = turn.player.loss(turn.module, tensors)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"step {self.progress.step + 1}: the loss is {value}: a lower train.lr, a lower "
                "train.clip or precision 32-true may help; the last checkpoint is still there"
            )
        self.fabric.backward(loss)
        self.fabric.clip_gradients(turn.module, turn.optimizer, max_norm=section.clip)
        turn.optimizer.step()
        return value

    def _keep_average(self) -> None:
        # At first, so that what is random is soon forgotten, no longer than what has been learnt.
        most = min(
            self.experiment.train.average, self.progress.step / (self.progress.step + 10)
        )
        self.average.multi_avg_fn = _averaging(most)
        self.average.update_parameters(self.task.net)

    def _note(self, judged: Judged, seen: Mapping[str, float]) -> None:
        """Keep what a check found: a row of the curves, a checkpoint, and the model if it is the best yet."""
        progress = self.progress
        better = judged.score > progress.best
        progress.best = max(progress.best, judged.score)
        progress.stale = 0 if better else progress.stale + 1
        lr = learning_rate(self.experiment, progress.step - 1)
        self.rows.append({"step": progress.step, **seen, "lr": lr, **judged.measures})
        if self.fabric.is_global_zero:
            if better or self.experiment.train.keep == "last":
                self.folder.publish(self.kept, progress.step, judged.measures)
            self.folder.save(self._state(), self.rows)
        shown = ", ".join(f"{key} {value:.3g}" for key, value in self.rows[-1].items())
        self.tell(shown + (" (best)" if better else ""))
        self.fabric.barrier()

    def _state(self) -> dict[str, Any]:
        return {
            "net": self.task.weights.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [each.optimizer.state_dict() for each in self.turns],
            "progress": asdict(self.progress),
            "rows": [dict(row) for row in self.rows],
        }

    def _resume(self) -> None:
        state = self.folder.load()
        if state is None:
            return
        self.task.weights.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        # Checkpoints of before there were several have one.
        optimizers = state["optimizers"] if "optimizers" in state else [state["optimizer"]]
        for turn, kept in zip(self.turns, optimizers, strict=True):
            turn.optimizer.load_state_dict(kept)
        self.progress = Progress(**state["progress"])
        self.rows = list(state["rows"])
        self.tell(f"going on from step {self.progress.step}")


def _averaging(stays: float) -> Callable[..., None]:
    averaging: Callable[..., None] = get_ema_multi_avg_fn(stays)  # type: ignore[no-untyped-call]
    return averaging


def learning_rate(experiment: Experiment, step: int) -> float:
    """Return the learning rate of a step, counted from 0: up in a line, then down as a cosine."""
    section = experiment.train
    if step < section.warm_up:
        return section.lr * (step + 1) / section.warm_up
    gone = (step - section.warm_up) / max(1, section.steps - section.warm_up)
    return section.lr * (0.01 + 0.99 * (1 + math.cos(math.pi * min(gone, 1))) / 2)
