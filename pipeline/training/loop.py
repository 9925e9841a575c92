"""The training itself: steps, checks and checkpoints.

Batch number *n* follows from the seed alone, and a checkpoint holds all else that a step depends on, so that a
training that was killed and started again ends with the weights of an undisturbed one (on one machine, with the
same number of threads).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric, seed_everything
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pipeline.errors import ModelError, TrainingError
from pipeline.models.networks.network import Network
from pipeline.models.networks.trained import filled
from pipeline.models.weights.folder import WEIGHTS, read_card
from pipeline.training import losses
from pipeline.training.batches import Batch, batches
from pipeline.training.experiment import CLASSES, Experiment, LossSection
from pipeline.training.judging import Judged, check_patches, judge
from pipeline.training.output import Folder, Progress, Row
from pipeline.training.pretraining import pretrained

BFLOAT16 = "bf16-mixed"

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
        # Fabric's own would give the network wavelengths and dark ground of 8 bits; see `_Training._step`.
        precision="32-true" if section.precision == BFLOAT16 else section.precision,
    )
    fabric.launch()
    seed_everything(experiment.seed, verbose=False)
    return _Training(experiment, path, fabric, tell or (lambda _: None)).run()


class _Training:
    def __init__(self, experiment: Experiment, path: Path, fabric: Fabric, tell: Tell) -> None:
        self.experiment = experiment
        self.fabric = fabric
        self.tell = tell
        self.folder = Folder(path, experiment)
        begun = self.folder.begun
        # On CPUs, convolutions of few channels are a tenth faster so.
        net = begin(experiment).to(memory_format=torch.channels_last)
        if not begun:
            for line in pretrained(experiment, net):
                tell(line)
        section = experiment.train
        optimizer = torch.optim.AdamW(
            net.parameters(), lr=section.lr, weight_decay=section.weight_decay
        )
        self.inner = net
        self.loss = combined_loss
        if section.compile:
            # In place: what is saved keeps the names of its tensors.
            net.compile()
            self.loss = torch.compile(combined_loss)
        self.net, self.optimizer = fabric.setup(net, optimizer)
        self.average = AveragedModel(net, multi_avg_fn=_averaging(0.0), use_buffers=True)
        self.progress = Progress()
        self.rows: list[Row] = []
        self._resume()

    def run(self) -> Path:
        patches = check_patches(self.experiment)
        section, fabric = self.experiment.train, self.fabric
        lost, since = 0.0, time.perf_counter()
        source = batches(
            self.experiment,
            self.progress.step,
            rank=fabric.global_rank,
            ranks=fabric.world_size,
        )
        with closing(source):
            while self.progress.step < section.steps and not self._tired():
                lost += self._step(next(source))
                if self._due():
                    took = time.perf_counter() - since
                    done = self.progress.step - (self.rows[-1]["step"] if self.rows else 0)
                    judged = judge(self.kept, patches, fabric.device)
                    self._note(judged, {"loss": lost / done, "steps_per_s": done / took})
                    lost, since = 0.0, time.perf_counter()
        return self.folder.path

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

    def _step(self, batch: Batch) -> float:
        """Take one step, and return the loss before it."""
        section = self.experiment.train
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.experiment, self.progress.step)
        device = self.fabric.device
        # What is dropped at random follows from seed and step, too.
        torch.manual_seed(
            self.experiment.seed * 1_000_003
            + self.progress.step * self.fabric.world_size
            + self.fabric.global_rank
        )
        images, bands, present, labels = (
            torch.from_numpy(each).to(device)
            for each in (batch.images, batch.bands_um, batch.present, batch.labels)
        )
        with torch.autocast(device.type, torch.bfloat16, enabled=section.precision == BFLOAT16):
            scores = self.net(images, bands, present)
        loss = self.loss(self.experiment.loss, scores.float(), labels)
        if self.inner.recovered is not None:
            each = images.shape[-1] // self.inner.recovered.shape[-1]
            lost = losses.recovery(self.inner.recovered, images[..., ::each, ::each], present)
            loss = loss + self.experiment.network.own_loss * lost
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"step {self.progress.step + 1}: the loss is {value}: a lower train.lr, a lower "
                "train.clip or precision 32-true may help; the last checkpoint is still there"
            )
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self.net, self.optimizer, max_norm=section.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.progress.step += 1
        self._keep_average()
        return value

    def _keep_average(self) -> None:
        # At first, so that what is random is soon forgotten, no longer than what has been learnt.
        most = min(
            self.experiment.train.average, self.progress.step / (self.progress.step + 10)
        )
        self.average.multi_avg_fn = _averaging(most)
        self.average.update_parameters(self.inner)

    def _note(self, judged: Judged, seen: Mapping[str, float]) -> None:
        """Keep what a check found: a row of the curves, a checkpoint, and the model if it is the best yet."""
        progress = self.progress
        better = judged.score > progress.best
        progress.best = max(progress.best, judged.score)
        progress.stale = 0 if better else progress.stale + 1
        lr = learning_rate(self.experiment, progress.step - 1)
        self.rows.append({"step": progress.step, **seen, "lr": lr, **judged.measures})
        if self.fabric.is_global_zero:
            if better:
                self.folder.publish(self.kept, progress.step, judged.measures)
            self.folder.save(self._state(), self.rows)
        shown = ", ".join(f"{key} {value:.3g}" for key, value in self.rows[-1].items())
        self.tell(shown + (" (best)" if better else ""))
        self.fabric.barrier()

    def _state(self) -> dict[str, Any]:
        return {
            "net": self.inner.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "rows": [dict(row) for row in self.rows],
        }

    def _resume(self) -> None:
        state = self.folder.load()
        if state is None:
            return
        self.inner.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(**state["progress"])
        self.rows = list(state["rows"])
        self.tell(f"going on from step {self.progress.step}")


def _averaging(stays: float) -> Callable[..., None]:
    averaging: Callable[..., None] = get_ema_multi_avg_fn(stays)  # type: ignore[no-untyped-call]
    return averaging


def begin(experiment: Experiment) -> Network:
    """Make the network that an experiment begins with: random, or of another model folder.

    Raises
    ------
    ModelError
        That folder holds a network of another shape.
    """
    shape = experiment.network
    net = shape.network(len(CLASSES))
    if shape.init:
        folder = Path(shape.init).expanduser()
        card = read_card(folder)
        if card.network != shape.bare:
            raise ModelError(
                f"network.init: {folder} has {card.network!r}; the experiment {shape.bare!r}"
            )
        net.load_state_dict(filled(card, (folder / WEIGHTS).read_bytes()).state_dict())
        net.requires_grad_(True)
    return net.train()


def learning_rate(experiment: Experiment, step: int) -> float:
    """Return the learning rate of a step, counted from 0: up in a line, then down as a cosine."""
    section = experiment.train
    if step < section.warm_up:
        return section.lr * (step + 1) / section.warm_up
    gone = (step - section.warm_up) / max(1, section.steps - section.warm_up)
    return section.lr * (0.01 + 0.99 * (1 + math.cos(math.pi * min(gone, 1))) / 2)


def combined_loss(
    section: LossSection, scores: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Return the losses of a section, weighted and added up.

    Parameters
    ----------
    section
        Which, and how much each counts.
    scores
        (N, K, H, W) logits.
    labels
        (N, H, W) uint8 sets of codes as bits.
    """
    allowed = losses.allowed_classes(labels, [int(code) for code in CLASSES])
    weights = torch.tensor(
        [section.class_weights.get(code.name.lower(), 1.0) for code in CLASSES],
        device=scores.device,
    )
    return sum(
        _losses(section, scores, allowed, weights), torch.zeros((), device=scores.device)
    )


def _losses(
    section: LossSection, scores: torch.Tensor, allowed: torch.Tensor, weights: torch.Tensor
) -> Iterator[torch.Tensor]:
    if section.cross_entropy:
        yield section.cross_entropy * losses.ambiguous_cross_entropy(scores, allowed, weights)
    if section.square:
        yield section.square * losses.ambiguous_square(scores, allowed, weights)
    if section.tversky:
        yield section.tversky * losses.tversky(scores, allowed, weights=weights)
    if section.lovasz:
        yield section.lovasz * losses.lovasz(scores, allowed)
