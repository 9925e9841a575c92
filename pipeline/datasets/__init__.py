"""Labelled data sets, each as its authors publish it, and what their labels leave open.

::

    registry.py    name -> reader
    labels.py      labels as sets of classes; one image; the Protocol of readers
    files.py       rasters, arrays and JSON, opened with errors that name them
    landsat.py     Landsat's metadata files, numbers to reflectance
    tortilla.py    the container of CloudSEN12+
    chips.py  cloudsen12.py  cloudsen12_memmap.py  cloudsen12plus.py  cmc.py  kappaset.py
    cesbio.py  sparcs.py  landsat8_biome.py  landsat7_irish.py  cloud38.py  pixbox.py

Read by `evaluate` and by training; nothing is downloaded.
"""

from pipeline.datasets.registry import READERS, reader_of

__all__ = ["READERS", "reader_of"]
