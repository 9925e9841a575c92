"""A worker process: ``python worker.py WORLD.npz OUT.npy THREADS NAME LEVEL OPTIONS LATTICE PART``.

Masks a part of a scene with a model that it loads itself, as workers of a run do.
"""

import json
import sys

import dask
import numpy as np

from pipeline import models
from pipeline.types import Lattice
from tests.models.worlds import OnLattice, box, masked


def main(world_path, out, threads, name, level, options, lattice, part):
    with np.load(world_path) as held:
        world = dict(held)
    card = models.resolve(name, level=level, roles=set(world), options=json.loads(options))
    model = OnLattice(models.load(card), Lattice(**json.loads(lattice)))
    with dask.config.set(scheduler="threads", num_workers=int(threads)):
        np.save(out, masked(world, model, box(*json.loads(part)), 90))


if __name__ == "__main__":
    main(*sys.argv[1:])
