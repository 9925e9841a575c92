"""The four networks of DLR's ukis-csmask: chooses one for the items.

The networks tell cloud, cloud shadow and the rest apart. There is one for each combination of processing level and
band set; the name ``ukis-csmask`` selects the one that fits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pipeline.errors import ModelError
from pipeline.models.families import options as option
from pipeline.models.weights.ukis_csmask import FAMILY, FILES, KEYS, RELEASE, concrete
from pipeline.types import Code, Lattice, Model, ModelCard

FOUR_BANDS = ("blue", "green", "red", "nir")
SIX_BANDS = (*FOUR_BANDS, "swir16", "swir22")
BANDS = {"6b": SIX_BANDS, "4b": FOUR_BANDS}
"""Best first: the package recommends the short-wave infrared "for better performance"."""
LEVELS = ("L1C", "L2A")

CODES = (Code.CLEAR, Code.THICK_CLOUD, Code.CLOUD_SHADOW)
"""Meaning of the networks' classes 0, 1 and 2: the rest, cloud, cloud shadow."""

# Measured on five labelled or mapped scenes, mirrored to 1536 px. Columns: label-change rate on core edges,
# divided by that of the same pixels under a lattice without edges there; pixels whose class differs between
# the two lattices; mean F1 of cloud on the labelled scenes; cost (pixels of windows over pixels of a tile of
# 2048 px, windows of neighbours included).
#
#   halo 64, hard edges     1.09    .8 %    .867    2.4 (1.6 where edges of tiles are edges of cores)
#   halo 64, blended 64      .98    .8 %    .867    2.4
#   halo 48, blended 64     1.00   1.0 %    .867    2.2
#   halo 32, blended 32     1.00   1.2 %    .866    2.0
#   halo 32, cores of 256   1.03   1.3 %    .865    2.0
#
# Tile edges lie on multiples of the chunk, 256 px. A shift of 128 keeps core edges as far from them as possible,
# so that a tile of 2048 px needs 5 × 5 windows and never 6 × 6.
LATTICE = Lattice(core_px=512, halo_px=32, blend_px=32, shift_px=128)

# Trained on SPARCS (30 m) and CloudSEN12+ (10 m). On the labelled chips the F1 of cloud is .867 at 10 m,
# .860 at 20 m and .868 at 30 m; at 60 m it agrees with a product's own scene classification at F1 .93.
RESOLUTION_M = (10.0, 60.0)

LICENCE = "Apache-2.0"
SOURCE = (
    "https://github.com/dlr-eoc/ukis-csmask; Wieland, Li, Martinis 2019, "
    "https://doi.org/10.1016/j.rse.2019.05.022; Wieland, Fichtner, Martinis 2022, "
    "https://doi.org/10.5194/isprs-archives-XLIII-B3-2022-217-2022"
)
WEIGHTS = (
    "ONNX file of the ukis-csmask 1.0.0 wheel (DLR): U-Net with an EfficientNet-B4 encoder, trained on "
    "SPARCS, CloudSEN12+ and the authors' own samples"
)
NORMALISATION = (
    "(reflectance - mean) / std by band, constants of the training data in the model's JSON file; gaps "
    "are filled by mirroring the data at their border"
)
ACCURACY = (
    "published as a bar chart only (img/accuracy.png of the project); scores on SPARCS and CloudSEN12+ "
    "flatter it, because it was trained on them"
)
CAVEATS = "calls shadow too often, on dark ground and water above all; meant for pixels of about 20 to 30 m"
GPU_BATCH = 8
"""Windows at a time on a GPU: chosen by arithmetic, not measured."""


class UkisCsmask:
    """The provider of these networks; see `pipeline.models.Provider`."""

    def names(self) -> tuple[str, ...]:
        """Return the family and its four networks."""
        return (FAMILY, *KEYS)

    def resolve(
        self, name: str, *, level: str, roles: Collection[str], options: Mapping[str, Any]
    ) -> ModelCard:
        """Choose the network for some items; see `pipeline.models.resolve`."""
        bands, trained = KEYS.get(name) or (_best_bands(roles), level)
        levels = (trained,) if name in KEYS else LEVELS
        option.require_fit(name, BANDS[bands], roles, level=level, levels=levels)
        chosen = option.on_this_machine(option.resolve(FAMILY, options, option.OF_NETWORKS))
        return _card(bands, level, chosen)

    def load(self, card: ModelCard) -> Model:
        """Load a network; see `pipeline.models.load`."""
        # torch takes seconds to import, which runs that find nothing new must not wait for.
        from pipeline.models.networks import ukis_csmask as network  # noqa: PLC0415

        return network.load(card)

    def bytes_needed(self, card: ModelCard, *, windows: int) -> int:
        """State the memory of inference; see `pipeline.models.bytes_needed`."""
        kept = weight_bytes(card) + FIRST_USE_BYTES[option.counted_as(card)]
        return kept + windows * window_bytes(card)


def _best_bands(roles: Collection[str]) -> str:
    return next(
        (bands for bands, needed in BANDS.items() if set(needed) <= set(roles)),
        # If none fits, the smaller set gives the shorter list of missing bands.
        "4b",
    )


def _card(bands: str, level: str, options: Mapping[str, str]) -> ModelCard:
    files = FILES[bands, level]
    if not files.onnx.is_file():
        raise ModelError(f"{files.onnx} is missing; install ukis-csmask {RELEASE}")
    return ModelCard(
        name=concrete(bands, level),
        version=f"{RELEASE}-{bands.upper()}{level}",
        roles=BANDS[bands],
        levels=(level,),
        resolution_m=RESOLUTION_M,
        lattice=LATTICE,
        classes=CODES,
        scores="logits",
        normalisation=NORMALISATION,
        weights=WEIGHTS,
        weights_sha256=files.onnx_sha256,
        licence=LICENCE,
        source=SOURCE,
        accuracy=ACCURACY,
        caveats=CAVEATS,
        batch=GPU_BATCH if options["device"] == "cuda" else 1,
        options=options,
        best_m=20.0,
    )


# -- memory ------------------------------------------------------------------------------------

N_PARAMETERS = 19_500_000
BYTES_PER_VALUE = {"float32": 4, "bfloat16": 2}

FIRST_USE_BYTES = {"float32": 87 * 10**6, "bfloat16": 181 * 10**6}
"""Memory that loading leaves behind, and kernels that oneDNN compiles at the first window (measured)."""

BYTES_PER_PIXEL = {"float32": 603, "bfloat16": 214}
"""Peak memory of inference on one window, per pixel, heap fragmentation included.

Live values per pixel at the network's widest point: the third block of the encoder expands 24 to 144 channels at
half resolution, 36 before and 36 after its depthwise convolution; besides, the window (6), the stem's output (12)
and the block's input (6). Measured in separate runs with 1, 2 and 4 threads; off by 8 % at most.
"""


def weight_bytes(card: ModelCard) -> int:
    """Return the memory of a loaded network, in bytes."""
    return N_PARAMETERS * BYTES_PER_VALUE[option.counted_as(card)]


def window_bytes(card: ModelCard) -> int:
    """Return the peak memory of inference on one window, in bytes."""
    return BYTES_PER_PIXEL[option.counted_as(card)] * card.lattice.window_px**2
