"""Studies: the same question asked of several trainings, each with several seeds, judged on the same patches.

``python -m benchmarks.studies STUDY.yaml ... [--out build/studies] [--page docs/studies.md]``

A study names its arms: a committed recipe each, and what is changed of it. An arm may instead be another one (`of`), judged by
several `views` of each patch (`while_noisy`: by the rule of ``tta``) or, as an `ensemble`, by the networks of all seeds but its own
together. What is done is not done again: killed, it goes on in the middle of a training. When all arms are through, its table
stands in the page and its figure beside it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

import pipeline.training
from benchmarks.studies.judged import Together, Views
from benchmarks.studies.page import Result, write_section
from pipeline.models.networks.network import Network
from pipeline.models.networks.trained import filled
from pipeline.models.weights.folder import WEIGHTS, read_card
from pipeline.simulate.patches import Patch, make_patch
from pipeline.training import Experiment, read_experiment
from pipeline.training.judging import judge
from pipeline.training.loop import train
from pipeline.training.sections import StreamSection

RECIPES = Path(pipeline.training.__file__).with_name("experiments")
JUDGED_SEED = 900_000_001
"""Far from the seeds of trainings and of their checks."""


def patches(judged: Mapping[str, Any]) -> list[Patch]:
    """Return the patches that all arms of a study are judged on."""
    settings = StreamSection.model_validate(judged["stream"]).settings(judged["size_px"])
    return [make_patch(JUDGED_SEED, n, settings) for n in range(judged["patches"])]


def experiment_of(study: Mapping[str, Any], arm: str, seed: int, out: Path) -> Experiment:
    """Return the experiment of an arm and a seed: its recipe, and what study and arm change of it."""
    how = study["arms"][arm]
    if "of" in how:
        return experiment_of(study, how["of"], seed, out)
    changes = {**study.get("set", {}), **how.get("set", {}), "seed": seed}
    if "after" in how:
        changes["task.segmenter"] = str(folder_of(out, how["after"], seed))
    return read_experiment(RECIPES / f"{how['recipe']}.yaml", changes)


def folder_of(out: Path, arm: str, seed: int) -> Path:
    """Return where an arm's training of a seed is kept."""
    return out / arm.replace(" ", "-") / str(seed)


def network_of(study: Mapping[str, Any], arm: str, seed: int, out: Path) -> Network:
    """Return what is judged as an arm of a seed."""
    how = study["arms"][arm]
    if "of" not in how:
        folder = folder_of(out, arm, seed)
        return filled(read_card(folder), (folder / WEIGHTS).read_bytes())
    if how.get("ensemble"):
        others = [each for each in study["seeds"] if each != seed]
        return Together([network_of(study, how["of"], each, out) for each in others])
    net = network_of(study, how["of"], seed, out)
    return Views(net, how["views"], while_noisy=how.get("while_noisy", False))


def results(study: Mapping[str, Any], out: Path) -> Iterator[Result]:
    """Train what is not trained yet, judge what is not judged yet, and yield all results."""
    spent = {}
    for seed in study["seeds"]:
        for arm in study["arms"]:
            if "of" in study["arms"][arm]:
                continue
            began = time.process_time()
            # Another experiment in the folder is refused here, results or not.
            train(
                experiment_of(study, arm, seed, out),
                folder_of(out, arm, seed),
                lambda line, arm=arm, seed=seed: print(arm, seed, line),
            )
            spent[arm, seed] = time.process_time() - began
    judged: dict[str, list[Patch]] = {}
    for seed in study["seeds"]:
        for arm in study["arms"]:
            yield judged_once(study, arm, seed, out, judged, spent.get((arm, seed), 0))


def judged_once(
    study: Mapping[str, Any],
    arm: str,
    seed: int,
    out: Path,
    judged: dict[str, list[Patch]],
    spent: float,
) -> Result:
    """Judge an arm of a seed, or read how it was judged; patches are made once."""
    path = folder_of(out, arm, seed) / "judged.json"
    on = {**study["judged"], **study["arms"][arm].get("judged", {})}
    if not path.exists():
        key = json.dumps(on)
        if key not in judged:
            judged[key] = patches(on)
        began = time.process_time()
        net = network_of(study, arm, seed, out)
        classes = tuple(experiment_of(study, arm, seed, out).network.classes)
        counts = [
            judge(net, [each], torch.device("cpu"), classes).counts.tolist()
            for each in judged[key]
        ]
        cpu_s = round(spent + time.process_time() - began, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps({"judged": on, "counts": counts, "cpu_s": cpu_s}))
        part.replace(path)
    found = json.loads(path.read_text())
    if found["judged"] != on:
        raise SystemExit(f"{path} was judged on other patches: delete it")
    return Result(arm=arm, seed=seed, counts=found["counts"], cpu_s=found["cpu_s"])


def run(path: Path, out: Path, page: Path) -> None:
    """Run a study to its end, and write its section of the page."""
    study = yaml.safe_load(path.read_text(encoding="utf-8"))
    if study["name"] != path.stem:
        raise SystemExit(f"{path}: its name is {study['name']!r}; expected {path.stem!r}")
    found = list(results(study, out / path.stem))
    write_section(page, study, found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/studies"))
    parser.add_argument("--page", type=Path, default=Path("docs/studies.md"))
    given = parser.parse_args()
    for each in given.studies:
        run(each, given.out, given.page)
