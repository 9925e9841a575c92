"""A simulated satellite archive with known truth: COGs and a static STAC catalogue.

::

    archive/write ─ make_archive: all of an archive
      passes            ArchiveSettings ─▶ Pass…: dates, satellites, clouds, swath edges, processings
      archive/products  one Pass ─▶ COGs, items and truth
        scene           ground + clouds + air ─▶ Level-2A reflectance
          landscape     fields, woods, water on gentle relief, through the summer
          clouds        layers of cloud, formed of `physics/noise`
          physics/      sun, the air between and its inversion, cloud shadows, optics
        archive/encode  reflectance ─▶ digital numbers ─▶ COG
        archive/items_sentinel2, items_landsat, stac: STAC in the words of Earth Search v1
      archive/truth     clean surface, optical depth and light beside it, as Zarr
    bands, grids: bands of the sensors and grids of their products
    patches/ ─ make_patch: labelled patches without end, of any sensor, for training

Everything follows from the seed; each pass draws from its own randomness, so that the passes can be
made in any order and by any number of processes.
"""

from pipeline.simulate.archive.truth import cloud_truth, open_truth, shadow_truth, truth_path
from pipeline.simulate.archive.write import make_archive
from pipeline.simulate.passes import ArchiveSettings

__all__ = [
    "ArchiveSettings",
    "cloud_truth",
    "make_archive",
    "open_truth",
    "shadow_truth",
    "truth_path",
]
