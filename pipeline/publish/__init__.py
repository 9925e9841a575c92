"""A store published as a static STAC 1.1 catalogue, with COGs if wanted.

::

    OUT/catalog.json
    OUT/<title>-masks-<sensor>/collection.json          what the group of the store holds (datacube)
                              /<item>/<item>.json       one item a scene; mask.tif beside it
    OUT/<title>-composites-<name>/…                     one item a period; a file a band, count, day, source

    following    follow(): the same after every run of a job that asks for it
    catalogue    publish(): writes what is new, takes over what is unchanged, shows all of it at once
    subjects     what becomes an item: a scene of a sensor, a period of a composite
    folder       replaces a folder by a complete new one; the lock
    region       which pixels: window, tiles, outline in degrees, pixels by class
    provenance   what made it: snapshot, models, source items
    layers       what one raster holds: dtype, nodata, scale, classes
    items, collections      the documents
    cogs         rasters, written tile by tile
    words        names of extensions and media types

The catalogue has relative links, so it may be moved; where it points at a local store it has to
move with it.
"""

from pipeline.publish.catalogue import Published, publish
from pipeline.publish.following import follow

__all__ = ["Published", "follow", "publish"]
