"""Labelled data sets, each in the layout of its authors; a label is the set of classes that it allows.

::

    registry.py     name -> reader
    labels.py       labels as sets of classes; one image; the Protocol of readers
    files.py        rasters, arrays and JSON, opened with errors that name them
    file_reader.py  one image a file: what most readers have in common
    landsat.py      Landsat's metadata files, numbers to reflectance
    tortilla.py     the container of CloudSEN12+
    readers/        a module a data set

Read by `evaluate` and by training; nothing is downloaded.
"""

from pipeline.datasets.registry import READERS, reader_of

__all__ = ["READERS", "reader_of"]
