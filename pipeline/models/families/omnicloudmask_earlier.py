"""OmniCloudMask's releases 1 to 3: what is not as in release 4.

They see the same bands in the same way as release 4 and tell the same classes apart; their networks are U-Nets
of fastai (`pipeline.models.networks.dynamic_unet`).
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.models.families import options as option
from pipeline.types import ModelCard

RESOLUTION_M = (10.0, 50.0)
"""Only release 4 is meant for finer pixels."""

GPU_BATCH = 2
"""Windows at a time on a GPU: chosen by arithmetic, not measured."""


def changed(card: ModelCard) -> ModelCard:
    """Return a card that says of releases 1 to 3 what is not as in release 4."""
    return replace(
        card,
        resolution_m=RESOLUTION_M,
        accuracy="not published separately for this release",
        batch=min(card.batch, GPU_BATCH),
    )


# -- memory ------------------------------------------------------------------------------------


def bytes_needed(card: ModelCard, *, windows: int) -> int:
    """State the memory of inference; see `pipeline.models.bytes_needed`."""
    precision = option.counted_as(card)
    kept = N_PARAMETERS[card.version] * BYTES_PER_VALUE[precision] + FIRST_USE_BYTES
    return kept + windows * BYTES_PER_PIXEL[precision][card.version] * card.lattice.window_px**2


N_PARAMETERS = {"1": 50_604_592, "2": 27_366_152, "3": 27_366_152}
BYTES_PER_VALUE = {"float32": 4, "bfloat16": 2}

FIRST_USE_BYTES = 20 * 10**6
"""What loading leaves behind (measured)."""

BYTES_PER_PIXEL = {
    "float32": {"1": 730, "2": 630, "3": 630},
    "bfloat16": {"1": 450, "2": 330, "3": 330},
}
"""Peak of one window on its way through, per pixel, with the holes that are left in the heap (measured with 1 and
2 threads at 1152 px; off by 11 % at most)."""
