"""Whether the environment has a setting at all: what goes without needs nothing of what settings are checked with."""

from __future__ import annotations

import os
from typing import Final

PREFIX: Final = "CLOUDMASK_"
LOG_LEVEL: Final = "WARNING"
"""Without a setting."""


def has_settings() -> bool:
    """Return whether a variable of ours is set."""
    return any(name.upper().startswith(PREFIX) for name in os.environ)
