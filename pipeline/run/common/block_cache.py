"""Where this process keeps decoded blocks, as the settings of its machine say."""

from __future__ import annotations

from pipeline import cube
from pipeline.config import read_settings


def use_block_cache() -> None:
    """Keep decoded blocks where the settings say; in each process that reads pixels."""
    settings = read_settings().block_cache
    cube.use_disk(settings.folder, int(settings.size))
