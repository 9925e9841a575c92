"""Models that were trained here: ``mask.model`` is the path of the folder that `cloudmask train` wrote."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import ModelError
from pipeline.models.families import options as option
from pipeline.models.wavelengths import ROLE_UM
from pipeline.models.weights.files import UserFile, WeightsFile, given
from pipeline.models.weights.folder import FILES, FolderCard, is_folder, read_card
from pipeline.types import Code, Lattice, Model, ModelCard

PREFIX = "trained-"
"""Prefix of card names: the name identifies the training, the option ``weights`` is the folder's path."""

USUAL = ("blue", "green", "red", "nir")
"""Default of the option ``roles``; ``nir08`` replaces a missing ``nir``."""

FEWEST_BANDS = 3

# Multiples of the network's stride, so that the pixels of its lowest level form one grid over all windows.
LATTICE = Lattice(core_px=768, halo_px=96)

OPTIONS: Mapping[str, tuple[object, option.Check]] = {
    "precision": ("float32", option.one_of(*option.PRECISION)),
    "device": ("cpu", option.one_of(*option.DEVICE)),
    "weights": ("", option.path),
    "roles": ("", option.path),
}


class Trained:
    """The provider of model folders; see `pipeline.models.Provider`."""

    def names(self) -> tuple[str, ...]:
        """Return none: folders are found by their paths (`claims`)."""
        return ()

    def claims(self, name: str) -> bool:
        """Return whether a name is a folder, or that of a card which `resolve` returned."""
        return name.startswith(PREFIX) or is_folder(name)

    def files(self, name: str) -> tuple[WeightsFile, ...]:  # noqa: ARG002 - one of `Provider`
        """Return none: nothing is downloaded."""
        return ()

    def files_of(self, card: ModelCard) -> tuple[UserFile, ...]:  # noqa: ARG002 - one of `Provider`
        """Return the files that must be in the folder."""
        return FILES

    def resolve(
        self, name: str, *, level: str, roles: Collection[str], options: Mapping[str, Any]
    ) -> ModelCard:
        """Read a folder's card; see `pipeline.models.resolve`."""
        folder = Path(str(options.get("weights") or name)).expanduser()
        card = read_card(folder)
        chosen = option.on_this_machine(
            option.resolve(card.name, {**options, "weights": str(folder)}, OPTIONS)
        )
        if level not in card.levels:
            raise ModelError(
                f"{card.name} was trained on {', '.join(card.levels)}; the items are {level!r}"
            )
        return _card(card, folder, _bands(card.name, roles, chosen["roles"]), chosen)

    def load(self, card: ModelCard) -> Model:
        """Load a network; see `pipeline.models.load`."""
        # torch takes seconds to import, which runs that find nothing new must not wait for.
        from pipeline.models.networks import trained as network  # noqa: PLC0415

        return network.load(card)

    def bytes_needed(self, card: ModelCard, *, windows: int) -> int:
        """State the memory of inference; see `pipeline.models.bytes_needed`."""
        each = BYTES_PER_PIXEL[option.counted_as(card)] + 24 * len(card.roles)
        return FIRST_USE_BYTES + windows * each * card.lattice.window_px**2


FIRST_USE_BYTES = 60 * 10**6
"""Weights, and kernels that oneDNN compiles."""

BYTES_PER_PIXEL = {"float32": 450, "bfloat16": 240}
"""Peak memory of inference on one window, per pixel, without the features of its bands: at half resolution the skip
connection, the upsampled level below, their sum and its convolutions, and at full resolution the scores. Measured with
the recipe's widths and four bands: 525 and 319 with the features, which count 96. A megapixel of ground costs .46 CPU
seconds in float32 and .26 in bfloat16 (EPYC with AVX512-BF16), halos included."""


def _bands(model: str, offered: Collection[str], asked: str) -> tuple[str, ...]:
    """Choose the bands of the option ``roles``; by default the usual ones that the items have."""
    wanted = [each.strip() for each in asked.split(",") if each.strip()] or list(USUAL)
    unknown = [each for each in wanted if each not in ROLE_UM]
    if unknown:
        raise ModelError(
            f"option roles of {model}: {', '.join(unknown)} is no optical band; known are "
            f"{', '.join(ROLE_UM)}"
        )
    if not asked and "nir" not in offered:
        wanted = [*wanted[:-1], "nir08"]
    found = [each for each in wanted if each in offered]
    if (asked and len(found) < len(wanted)) or len(found) < FEWEST_BANDS:
        lacking = [each for each in wanted if each not in offered]
        raise ModelError(
            f"{model} needs {FEWEST_BANDS} bands at least, of {', '.join(wanted)}; the items lack "
            f"{', '.join(lacking)}"
        )
    return tuple(found)


def _card(
    card: FolderCard, folder: Path, roles: tuple[str, ...], options: dict[str, str]
) -> ModelCard:
    weights = given(card.name, FILES, str(folder))
    return ModelCard(
        name=PREFIX + card.name,
        version=card.version,
        roles=roles,
        levels=card.levels,
        resolution_m=card.resolution_m,
        normalisation="reflectance and its logarithm, by a fixed rule; NaN mirrored",
        lattice=LATTICE,
        classes=tuple(Code(code) for code in card.classes),
        scores="logits",
        weights=card.weights,
        weights_sha256=weights.sha256,
        licence=card.licence,
        source=f"`cloudmask train`, experiment {card.name}",
        accuracy=card.accuracy,
        caveats=card.caveats,
        batch=16 if options["device"] == "cuda" else 1,
        options=options,
    )
