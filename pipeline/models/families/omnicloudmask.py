"""OmniCloudMask: the cards of its releases.

Two networks see red, green and near infrared, normalised by each window's own statistics, and the mean of
their logits decides. Because of that normalisation a pixel's class depends on its whole window: only
windows that never move give the same mask for every partition.

What is particular about releases 1 to 3 is in `pipeline.models.families.omnicloudmask_earlier`.
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
"""The release that is meant unless option ``version`` says otherwise."""

GPU_BATCH = 4
"""Windows at a time on a GPU: chosen by arithmetic, not measured."""

OPTIONS: Mapping[str, tuple[object, option.Check]] = {
    **option.OF_NETWORKS,
    "weights": ("", option.path),
    "version": (VERSION, option.whole(1, 4)),
    # Windows of 1152 px: as much for the statistics as its own engine's patches of 1000 px. Of a scene
    # of 4096 px the networks see 33 megapixels (2.0 times its own), with its patches 36.
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
        # Sensors with one near infrared only call it nir.
        wanted = tuple(
            "nir" if role == "nir08" and role not in roles else role for role in ROLES
        )
        option.require_fit(NAME, wanted, roles, level=level, levels=LEVELS)
        chosen = option.on_this_machine(option.resolve(NAME, options, OPTIONS))
        return _card(wanted, chosen)

    def load(self, card: ModelCard) -> Model:
        """Load the networks; see `pipeline.models.load`."""
        # torch takes seconds to import: runs that find everything done must not pay for it.
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
    """Return the lattice that options ask for: ramps as wide as the halo, up to 64 px."""
    core, halo = int(options["core_px"]), int(options["halo_px"])
    blend = min(64, halo, core)
    # Ramps need their neighbours: with edges of cores in the middle of tiles there are the fewest.
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
    # Not said of release 4, so that what was masked before there was a choice still counts.
    return replace(card, options={key: options[key] for key in options if key != "version"})


# -- memory ------------------------------------------------------------------------------------

N_PARAMETERS = 14_401_144
BYTES_PER_VALUE = {"float32": 4, "bfloat16": 2}

FIRST_USE_BYTES = {"float32": 37 * 10**6, "bfloat16": 51 * 10**6}
"""What loading leaves behind, and kernels that oneDNN compiles at the first window (measured)."""

BYTES_PER_PIXEL = {"float32": 160, "bfloat16": 108}
"""Peak of one window on its way through, per pixel, with the holes that are left in the heap.

Of it in use: in float32 some 21 values a pixel, in bfloat16 25 of half the size; no layer of full resolution
exists as a whole (`pipeline.models.networks.cpu.unet_in_strips`). Measured with 1, 2 and 4 threads, in runs of their own: these
numbers are off by 10 % at most.
"""
