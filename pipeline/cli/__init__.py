"""The command ``cloudmask``: reads arguments, calls a room, and shows the result.

::

    app            every command by its name; errors become one line and an exit code
    commands/
    ├── jobs       run · plan · schema           runs and plans a job file
    ├── init       init                          writes a first job file
    ├── inspect    inspect                       describes an item
    ├── archives   query · evaluate · report     reads a store
    ├── export     export                        pixels as files
    ├── history    log · runs · rollback · expire
    ├── verify     verify                        finds and repairs damage
    ├── stac       stac                          a catalogue, with COGs
    ├── labelled   evaluate labelled             a model against labels
    ├── data       simulate                      simulated archives
    ├── models     models list · show · fetch    the available models
    ├── training   train · export                trains a model
    └── demo       all of it, once, on a simulated archive
    given          parses arguments
    material       collects data of a store for commands
    progress       bars on a terminal, lines elsewhere
    understanding  sensor, bands and radiometry of an item, and why it would be refused
    template       the job file that init and demo write
    verbosity      -v and -q of every command
    show           tables, sizes, JSON and CSV

Results go to stdout; progress, messages and errors to stderr. The rooms import torch, geopandas and zarr, which takes
seconds: each command imports its rooms when it is called, so that ``cloudmask --help`` is quick.
"""

from __future__ import annotations

from pipeline.cli.app import app, main

__all__ = ["app", "main"]
