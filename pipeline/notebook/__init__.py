"""How archives, masks, composites and series show themselves in a notebook.

::

    archive     Archive: reads like that of `pipeline.store`, shows itself, and explore() opens its map
    datasets    Masks, Composites: xarray Datasets with pictures, a legend and numbers
    series      Series: a chart, the numbers, and what the archive does not know
    explore     the map of `pipeline.serve` in a frame, from a server of this process
    page        HTML of all of them
"""

from pipeline.notebook.archive import Archive
from pipeline.notebook.datasets import Composites, Masks
from pipeline.notebook.series import Series

__all__ = ["Archive", "Composites", "Masks", "Series"]
