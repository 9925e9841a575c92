"""Models of our own: from labels and simulated patches to a model folder that ``mask.model`` takes.

::

    experiment.py   EXPERIMENT.yaml ─▶ Experiment, every mistake with its line
    sections.py     … of which: where images come from
    samples.py      scenes: the simulator's stream, labelled data sets, mixtures of them by weight
    transfer.py     … Landsat 8 made like Proba-V
    augment.py      … cut, turned, varied
    batches.py      … in batches, made in processes of their own; batch n is always the same
    tasks/          what a step learns, and from what: labels, a second sensor, blocks
    losses.py       losses on labels that may leave several classes open
    loop.py         Experiment ─▶ steps, checks, checkpoints; goes on where it was killed
    judging.py      scores on patches of another seed
    output.py       the model folder, checkpoints, curves
    experiments/    committed recipes

    train(experiment, folder) ─▶ the model folder

torch and Lightning Fabric (extra ``train``) are imported when training starts.
"""

from pipeline.training.experiment import Experiment, read_experiment

__all__ = ["Experiment", "read_experiment"]
