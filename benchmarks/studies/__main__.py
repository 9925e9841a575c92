"""Studies: the same question asked of several trainings, each with several seeds, judged on the same patches.

``python -m benchmarks.studies STUDY.yaml ... [--out build/studies] [--page docs/studies.md]``

A study names its arms: a committed recipe each, and what is changed of it. What is done is not done again: killed, it goes on
in the middle of a training. When all arms are through, its table stands in the page and its figure beside it.
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
from benchmarks.studies.page import Result, write_section
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
    changes = {**study.get("set", {}), **how.get("set", {}), "seed": seed}
    if "after" in how:
        changes["task.segmenter"] = str(folder_of(out, how["after"], seed))
    return read_experiment(RECIPES / f"{how['recipe']}.yaml", changes)


def folder_of(out: Path, arm: str, seed: int) -> Path:
    """Return where an arm's training of a seed is kept."""
    return out / arm.replace(" ", "-") / str(seed)


def counted(folder: Path, judged: list[Patch]) -> list[Any]:
    """Return the counts of each patch, rows the true codes, by the model of a folder."""
    card = read_card(folder)
    net = filled(card, (folder / WEIGHTS).read_bytes())
    classes = tuple(card.network.classes)
    return [
        judge(net, [patch], torch.device("cpu"), classes).counts.tolist() for patch in judged
    ]


def results(study: Mapping[str, Any], out: Path) -> Iterator[Result]:
    """Train what is not trained yet, judge what is not judged yet, and yield all results."""
    judged: list[Patch] = []
    for seed in study["seeds"]:
        for arm in study["arms"]:
            folder = folder_of(out, arm, seed)
            experiment = experiment_of(study, arm, seed, out)
            # Another experiment in the folder is refused here, results or not.
            began = time.process_time()
            train(experiment, folder, lambda line, arm=arm, seed=seed: print(arm, seed, line))
            path = folder / "judged.json"
            if not path.exists():
                judged = judged or patches(study["judged"])
                found = {
                    "judged": study["judged"],
                    "counts": counted(folder, judged),
                    "cpu_s": round(time.process_time() - began, 1),
                }
                part = path.with_suffix(".part")
                part.write_text(json.dumps(found))
                part.replace(path)
            found = json.loads(path.read_text())
            if found["judged"] != study["judged"]:
                raise SystemExit(f"{path} was judged on other patches: delete it")
            yield Result(arm=arm, seed=seed, counts=found["counts"], cpu_s=found["cpu_s"])


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
