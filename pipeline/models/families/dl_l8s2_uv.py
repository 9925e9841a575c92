"""DL-L8S2-UV, the small U-Nets of the Universitat de València: chooses one for the items.

They tell cloud from clear, and their receptive field has a radius of 23 px. With a halo of 24 px and windows that
start on multiples of 4 px (two poolings), any partition gives the scores of the whole scene, bit for bit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pipeline.models.families import options as option
from pipeline.models.weights.dl_l8s2_uv import ALIGNMENT_PX, FAMILY, FILES, RGBI, RGBISWIR
from pipeline.models.weights.files import WeightsFile, given
from pipeline.types import Code, Lattice, Model, ModelCard

FOUR_BANDS = ("blue", "green", "red", "nir")
BANDS: Mapping[str, tuple[str, ...]] = {
    RGBISWIR: (*FOUR_BANDS, "swir16", "swir22"),
    RGBI: FOUR_BANDS,
}
"""Best first: on labelled images the six bands are right more often (OA .91 against .86)."""

REACH_PX = 23
"""Radius of the receptive field: 2 + 2·2 + 2·4 + 2·2 + 2 = 20 px of convolutions, and up to 3 px because a pooled
pixel covers four."""
LATTICE = Lattice(core_px=512, halo_px=24)

GPU_BATCH = 16
"""Windows at a time on a GPU: chosen by arithmetic, not measured."""

CLASSES = (Code.THICK_CLOUD, Code.CLEAR)
"""Cloud first, so that a tie is cloud: the original cuts its sigmoid at ``>= 0.5``."""

OPTIONS: Mapping[str, tuple[object, option.Check]] = {
    **option.OF_NETWORKS,
    "weights": ("", option.path),
}


class DlL8s2Uv:
    """The provider of these networks; see `pipeline.models.Provider`."""

    def names(self) -> tuple[str, ...]:
        """Return the family and its two networks."""
        return (FAMILY, *BANDS)

    def files(self, name: str) -> tuple[WeightsFile, ...]:
        """Return what `cloudmask models fetch` downloads: for the family, both networks' weights."""
        return tuple(FILES.values()) if name == FAMILY else (FILES[name],)

    def resolve(
        self, name: str, *, level: str, roles: Collection[str], options: Mapping[str, Any]
    ) -> ModelCard:
        """Choose the network for some items; see `pipeline.models.resolve`."""
        network = name if name in BANDS else _best(roles)
        option.require_fit(name, BANDS[network], roles, level=level, levels=("L1C",))
        chosen = option.on_this_machine(option.resolve(FAMILY, options, OPTIONS))
        return _card(network, chosen)

    def alignment_px(self, _: ModelCard) -> int:
        """Return the step of the pooled pixels, on which windows may start: the receptive field is bounded."""
        return ALIGNMENT_PX

    def load(self, card: ModelCard) -> Model:
        """Load a network; see `pipeline.models.load`."""
        # torch takes seconds to import, which runs that find nothing new must not wait for.
        from pipeline.models.networks import dl_l8s2_uv as network  # noqa: PLC0415

        return network.load(card)

    def bytes_needed(self, card: ModelCard, *, windows: int) -> int:
        """State the memory of inference; see `pipeline.models.bytes_needed`."""
        precision = option.counted_as(card)
        one = BYTES_PER_PIXEL[precision] * card.lattice.window_px**2
        return FIRST_USE_BYTES[precision] + windows * one


def _best(roles: Collection[str]) -> str:
    # If none fits, the smaller set gives the shorter list of missing bands.
    return next((name for name, bands in BANDS.items() if set(bands) <= set(roles)), RGBI)


def _card(network: str, options: dict[str, str]) -> ModelCard:
    weights = given(network, (FILES[network],), options["weights"])
    origin = (
        f"the user's own file {Path(options['weights']).name}"
        if weights.own
        else f"{FILES[network].name} of github.com/IPL-UV/DL-L8S2-UV, trained on Landsat 8 Biome (30 m)"
    )
    return ModelCard(
        name=network,
        version="1",
        roles=BANDS[network],
        levels=("L1C",),
        resolution_m=(10.0, 60.0),
        normalisation="a 1 x 1 convolution inside the network; NaN becomes 0, as in the original",
        lattice=LATTICE,
        classes=CLASSES,
        scores="logits",
        weights=origin,
        weights_sha256=weights.sha256,
        licence="MIT",
        source="https://github.com/IPL-UV/DL-L8S2-UV; López-Puigdollers, Mateo-García, Gómez-Chova "
        "2021, https://doi.org/10.3390/rs13050992",
        accuracy="see tables of the publication; trained on Landsat 8 Biome, so that scores on it "
        "flatter it",
        batch=GPU_BATCH if options["device"] == "cuda" else 1,
        options=options,
    )


# -- memory ------------------------------------------------------------------------------------

FIRST_USE_BYTES = {"float32": 165 * 10**6, "bfloat16": 45 * 10**6}
"""The weights (0.4 MB), memory that loading leaves behind, and kernels that oneDNN compiles (measured)."""

BYTES_PER_PIXEL = {"float32": 918, "bfloat16": 574}
"""Peak memory of inference on one window, per pixel, heap fragmentation included (measured with 1, 2 and 4
threads; off by 9 % at most). Live at the widest point, the decoder's level of full resolution: the 64 concatenated
channels, their parts (32 and 32), their depthwise convolution (64) and its 32 outputs."""
