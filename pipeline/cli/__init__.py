"""The command ``cloudmask``: thin; it reads arguments, calls a room, and shows what came back.

::

    app        every command by its name; errors become one line and an exit code
    commands/
    ├── jobs       run · plan · schema           what a job file asks for
    ├── init      init                          a first job file
    ├── inspect    inspect                       what is understood of an item
    ├── archives   query · evaluate · report     what a store holds
    ├── export    export                        pixels as files
    ├── history    log · runs · rollback · expire
    ├── verify     verify                        is it whole?
    ├── stac       stac                          as a catalogue, with COGs
    ├── labelled   evaluate labelled             a model against labels
    ├── data       simulate                      what there is to work with
    ├── models     models list · show · fetch    what can mask
    └── demo       all of it, once, on a simulated archive
    given      arguments as values
    material   what is shown of a store, gathered from it
    progress   bars on a terminal, lines elsewhere
    understanding  what an item is, and why it would be refused
    template       the job file that init and demo write
    verbosity      -v and -q, which every command has
    show       tables, sizes, JSON and CSV

Results go to stdout; progress, messages and errors to stderr. The rooms bring torch, geopandas and
zarr with them, which take seconds to import, so that commands import them when they are called
and ``cloudmask --help`` stays quick.
"""

from __future__ import annotations

from pipeline.cli.app import app, main

__all__ = ["app", "main"]
