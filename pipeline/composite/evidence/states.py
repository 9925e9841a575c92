"""What screening makes of an observation, as the codes that its arrays have."""

from __future__ import annotations

UNUSABLE, KEPT, BRIGHT, DARK, RESTORED = range(5)
"""Was not usable; stands; put aside for cloud; put aside for shadow; stands, because all of its pixel's period
were put aside and it has the least blue."""
