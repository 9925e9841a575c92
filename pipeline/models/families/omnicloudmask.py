"""OmniCloudMask: the cards of its releases.

Two networks see red, green and near infrared, normalised by each window's own statistics; the mean of their logits
decides. Because of that normalisation a pixel's class depends on its whole window: only a fixed lattice of windows
gives the same mask for every partition.

`pipeline.models.families.omnicloudmask_earlier` has the differences of releases 1 to 3.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from pipeline.models.families import omnicloudmask_earlier as earlier
from pipeline.models.families import options as option
from pipeline.models.weights import omnicloudmask_earlier as earlier_weights
from pipeline.models.weights.files import UserFile, WeightsFile, given
from pipeline.models.weights.omnicloudmask import CLASSES, FILES, NAME, ROLES, STRIDE
from pipeline.types import Lattice, Model, ModelCard

LEVELS = ("L1C", "L2A")

VERSION = "4"
"""Default of the option ``version``."""

GPU_BATCH = 4
"""Windows at a time on a GPU: chosen by arithmetic, not measured."""

OPTIONS: Mapping[str, tuple[object, option.Check]] = {
    **option.OF_NETWORKS,
    "weights": ("", option.path),
    "version": (VERSION, option.whole(1, 4)),
    # Windows of 1152 px give the statistics as many pixels as the patches of 1000 px of OmniCloudMask's own
    # engine. For a scene of 4096 px the networks run on 33 megapixels (2.0 times the scene), with its patches on 36.
    "core_px": (1024, option.whole(STRIDE, 4096, multiple_of=STRIDE)),
    "halo_px": (64, option.whole(0, 1024, multiple_of=STRIDE // 2)),
}


class OmniCloudMask:
    """The provider of this model; see `pipeline.models.Provider`."""

    def names(self) -> tuple[str, ...]:
        """Return its name."""
        return (NAME,)

    def files(self, name: str) -> tuple[WeightsFile, ...]:  # noqa: ARG002 - it has one model
        """Return what `cloudmask models fetch` downloads."""
        return FILES

    def files_of(self, card: ModelCard) -> tuple[WeightsFile | UserFile, ...]:
        """Return the files that hold a card's weights."""
        return _files(card.version)

    def resolve(
        self,
        name: str,  # noqa: ARG002 - it has one model
        *,
        level: str,
        roles: Collection[str],
        options: Mapping[str, Any],
    ) -> ModelCard:
        """Choose the card for some items; see `pipeline.models.resolve`."""
        # Sensors with a single near-infrared band call it nir.
        wanted = tuple(
            "nir" if role == "nir08" and role not in roles else role for role in ROLES
        )
        option.require_fit(NAME, wanted, roles, level=level, levels=LEVELS)
        chosen = option.on_this_machine(option.resolve(NAME, options, OPTIONS))
        return _card(wanted, chosen)

    def load(self, card: ModelCard) -> Model:
        """Load the networks; see `pipeline.models.load`."""
        # torch takes seconds to import, which runs that find nothing new must not wait for.
        from pipeline.models.networks import omnicloudmask, omnicloudmask_earlier  # noqa: PLC0415

        if card.version == VERSION:
            return omnicloudmask.load(card)
        return omnicloudmask_earlier.load(card)

    def bytes_needed(self, card: ModelCard, *, windows: int) -> int:
        """State the memory of inference; see `pipeline.models.bytes_needed`."""
        if card.version != VERSION:
            return earlier.bytes_needed(card, windows=windows)
        precision = option.counted_as(card)
        kept = N_PARAMETERS * BYTES_PER_VALUE[precision] + FIRST_USE_BYTES[precision]
        return kept + windows * BYTES_PER_PIXEL[precision] * card.lattice.window_px**2


def lattice(options: Mapping[str, str]) -> Lattice:
    """Return the lattice for options: blending ramps as wide as the halo, up to 64 px."""
    core, halo = int(options["core_px"]), int(options["halo_px"])
    blend = min(64, halo, core)
    # A blended core edge also needs the window beyond it. The fewest windows are needed when tile edges fall in the
    # middle of cores.
    return Lattice(core_px=core, halo_px=halo, blend_px=blend, shift_px=core // 2)


def _files(version: str) -> tuple[WeightsFile | UserFile, ...]:
    return FILES if version == VERSION else earlier_weights.files(version)


def _card(roles: tuple[str, ...], options: dict[str, str]) -> ModelCard:
    version = options["version"]
    called = NAME if version == VERSION else earlier_weights.called(version)
    weights = given(called, _files(version), options["weights"])
    card = ModelCard(
        name=NAME,
        version=version,
        roles=roles,
        levels=LEVELS,
        resolution_m=(5.0, 50.0),
        normalisation="each band of each window: minus its mean, over its standard deviation, both "
        "over what is not NaN; NaN becomes 0",
        lattice=lattice(options),
        classes=CLASSES,
        scores="logits",
        weights="the user's own files"
        if weights.own
        else "huggingface.co/NickWright/OmniCloudMask at c9a4fb8, trained on CloudSEN12 and others",
        weights_sha256=weights.sha256,
        licence="MIT",
        source="https://github.com/DPIRD-DMA/OmniCloudMask (1.8.1); Wright et al. 2025, "
        "https://doi.org/10.1016/j.rse.2025.114694",
        accuracy="balanced OA of clear/cloud/shadow by its authors: Landsat 91.5/91.5/75.2, "
        "Sentinel-2 92.2/91.2/80.5, PlanetScope 96.9/98.8/97.4; CloudSEN12 was trained on",
        batch=GPU_BATCH if options["device"] == "cuda" else 1,
        options=options,
    )
    if version != VERSION:
        return earlier.changed(card)
    # Left out for release 4, so that fingerprints from before the option existed stay valid.
    return replace(card, options={key: options[key] for key in options if key != "version"})


# -- memory ------------------------------------------------------------------------------------

N_PARAMETERS = 14_401_144
BYTES_PER_VALUE = {"float32": 4, "bfloat16": 2}

FIRST_USE_BYTES = {"float32": 37 * 10**6, "bfloat16": 51 * 10**6}
"""Memory that loading leaves behind, and kernels that oneDNN compiles at the first window (measured)."""

BYTES_PER_PIXEL = {"float32": 160, "bfloat16": 108}
"""Peak memory of inference on one window, per pixel, heap fragmentation included.

Live values: some 21 per pixel in float32, 25 of half the size in bfloat16; no layer of full resolution exists as a
whole (`pipeline.models.networks.cpu.unet_in_strips`). Measured in separate runs with 1, 2 and 4 threads; off by 10 %
at most.
"""
