"""OmniCloudMask's releases 1 to 3: how their cards differ from that of release 4.

Bands, normalisation and classes are those of release 4; the networks are U-Nets of fastai
(`pipeline.models.networks.dynamic_unet`).
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.models.families import options as option
from pipeline.types import ModelCard

RESOLUTION_M = (10.0, 50.0)
"""Range of pixel sizes; release 4 alone is meant for finer pixels."""

GPU_BATCH = 2
"""Windows at a time on a GPU: chosen by arithmetic, not measured."""


def changed(card: ModelCard) -> ModelCard:
    """Return a card of release 4, changed to describe releases 1 to 3."""
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
"""Memory that loading leaves behind (measured)."""

BYTES_PER_PIXEL = {
    "float32": {"1": 730, "2": 630, "3": 630},
    "bfloat16": {"1": 450, "2": 330, "3": 330},
}
"""Peak memory of inference on one window, per pixel, heap fragmentation included (measured with 1 and 2 threads at
1152 px; off by 11 % at most)."""
