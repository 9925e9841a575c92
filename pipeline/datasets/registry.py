"""Name of a labelled data set -> its reader."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.datasets.labels import Reader
from pipeline.datasets.readers.alberta import AlbertaShadows
from pipeline.datasets.readers.biome_patches import BiomePatches
from pipeline.datasets.readers.cesbio import Cesbio
from pipeline.datasets.readers.chips import Chips
from pipeline.datasets.readers.cloud38 import Cloud38
from pipeline.datasets.readers.cloudsen12 import CloudSen12
from pipeline.datasets.readers.cloudsen12_memmap import CloudSen12Memmap
from pipeline.datasets.readers.cloudsen12plus import CloudSen12Plus
from pipeline.datasets.readers.cmc import CloudMaskCatalogue
from pipeline.datasets.readers.kappaset import KappaSet
from pipeline.datasets.readers.landsat7_irish import Landsat7Irish
from pipeline.datasets.readers.landsat8_biome import Landsat8Biome
from pipeline.datasets.readers.pixbox import PixBox
from pipeline.datasets.readers.quicklooks import Quicklooks
from pipeline.datasets.readers.sparcs import Sparcs
from pipeline.datasets.readers.unlabelled import Unlabelled
from pipeline.errors import ConfigError

_ALL: tuple[Reader, ...] = (
    Chips(),
    CloudSen12(),
    CloudSen12Memmap(),
    CloudSen12Plus("L1C"),
    CloudSen12Plus("L2A"),
    CloudMaskCatalogue(),
    KappaSet(),
    Cesbio(),
    Sparcs(),
    Landsat8Biome(),
    Landsat7Irish(),
    Cloud38(),
    PixBox("s2"),
    PixBox("l8"),
    BiomePatches(),
    AlbertaShadows(),
    Quicklooks(),
    Unlabelled(),
)

READERS: Mapping[str, Reader] = {reader.card.name: reader for reader in _ALL}
"""Name of a data set -> its reader."""


def reader_of(name: str) -> Reader:
    """Return the reader of a data set.

    Raises
    ------
    ConfigError
        There is no such data set.
    """
    if name not in READERS:
        raise ConfigError(f"there is no data set {name!r}; known are {', '.join(READERS)}")
    return READERS[name]
