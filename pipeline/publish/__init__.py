"""A store published as a static STAC 1.1 catalogue, with COGs if wanted.

::

    OUT/catalog.json
    OUT/<title>-masks-<sensor>/collection.json          what the group of the store holds (datacube)
                              /<item>/<item>.json       one item a scene; mask.tif beside it
    OUT/<title>-composites-<name>/…                     one item a period; a file a band, count, day, source

    following    follow(): publishes after each run of a job, if the job says so
    catalogue    publish(): writes new items, reuses unchanged ones, and replaces the catalogue at once
    subjects     the subjects of items: a scene of a sensor, a period of a composite
    folder       replaces a folder by a complete new one; the lock
    region       the pixels of an item: window, tiles, outline in degrees, pixels by class
    provenance   the origin of the pixels: snapshot, models, source items
    layers       the content of one raster: dtype, nodata, scale, classes
    styles       colours of quality layers for QGIS
    items, collections      the documents
    cogs         rasters, written tile by tile
    words        names of extensions and media types

Links in the catalogue are relative, so that it may be moved; a local store that it points to must move with it.
"""

from pipeline.publish.catalogue import Published, publish
from pipeline.publish.following import follow

__all__ = ["Published", "follow", "publish"]
