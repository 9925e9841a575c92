"""Networks that `cloudmask train` has trained: ``mask.model`` is the path of a folder, or the name of one that the package has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import ModelError
from pipeline.models.architectures.shape import WIDE
from pipeline.models.families import options as option
from pipeline.models.wavelengths import ROLE_UM
from pipeline.models.weights.files import UserFile, WeightsFile, given
from pipeline.models.weights.folder import (
    FILES,
    SHIPPED_NAMES,
    WEIGHTS,
    FolderCard,
    folder_of,
    is_folder,
    read_card,
)
from pipeline.types import Code, Model, ModelCard

PREFIX = "trained-"
"""Prefix of card names: the name identifies the training, the option ``weights`` is the folder's path."""

FEWEST_BANDS = 3

OPTIONS: Mapping[str, tuple[object, option.Check]] = {
    "precision": ("float32", option.one_of(*option.PRECISION)),
    "device": ("cpu", option.one_of(*option.DEVICE)),
    "weights": ("", option.path),
    "roles": ("", option.path),
}


class Trained:
    """The provider of model folders; see `pipeline.models.Provider`."""

    def names(self) -> tuple[str, ...]:
        """Return those that the package has; other folders are found by their paths (`claims`)."""
        return SHIPPED_NAMES

    def claims(self, name: str) -> bool:
        """Return whether a name is a folder, or that of a card which `resolve` returned."""
        return name.startswith(PREFIX) or is_folder(name)

    def files(self, name: str) -> tuple[WeightsFile, ...]:  # noqa: ARG002 - one of `Provider`
        """Return none: nothing is downloaded."""
        return ()

    def files_of(self, card: ModelCard) -> tuple[UserFile, ...]:
        """Return the files that must be in the folder; a shipped one has them."""
        return FILES if card.options["weights"] else ()

    def resolve(
        self, name: str, *, level: str, roles: Collection[str], options: Mapping[str, Any]
    ) -> ModelCard:
        """Read a folder's card; see `pipeline.models.resolve`."""
        weights = str(options.get("weights") or "")
        if not weights and name not in SHIPPED_NAMES:
            weights = name
        folder = folder_of(name, weights)
        card = read_card(folder)
        # A shipped one has no path: it would be another in every installation.
        weights = str(folder) if weights else ""
        chosen = option.on_this_machine(
            option.resolve(card.name, {**options, "weights": weights}, OPTIONS)
        )
        if level not in card.levels:
            raise ModelError(
                f"{card.name} was trained on {', '.join(card.levels)}; the items are {level!r}"
            )
        if chosen["precision"] != "float32" and not card.network.shortens:
            raise ModelError(
                f"{card.name} runs in float32 alone: wavelengths differ by too little for fewer bits; set "
                "the option precision to float32"
            )
        bands = _bands(card, roles, chosen["roles"])
        if not card.network.wanted:
            # A network for any bands is another one for each sensor's, and options tell loaded models apart.
            chosen["roles"] = ",".join(bands)
        return _card(card, folder, bands, chosen)

    def step_px(self, card: ModelCard) -> int | None:
        """Return the stride of a network whose pixels see a bounded neighbourhood; see `pipeline.models.combined.members.Member`."""
        shape = read_card(folder_of(card.name, card.options["weights"])).network
        return shape.stride_px if shape.lattice == WIDE else None

    def load(self, card: ModelCard) -> Model:
        """Load a network; see `pipeline.models.load`."""
        # torch takes seconds to import, which runs that find nothing new must not wait for.
        from pipeline.models.networks import trained as network  # noqa: PLC0415

        return network.load(card)

    def bytes_needed(self, card: ModelCard, *, windows: int) -> int:
        """State the memory of inference; see `pipeline.models.bytes_needed`."""
        folder = folder_of(card.name, card.options["weights"])
        shape = read_card(folder).network
        each = shape.bytes_per_pixel(option.counted_as(card)) + 24 * len(card.roles)
        # The weights as they are read, those of the network, and those that kernels lay out anew.
        weights = 3 * (folder / WEIGHTS).stat().st_size
        return FIRST_USE_BYTES + weights + windows * each * card.lattice.window_px**2


FIRST_USE_BYTES = 55 * 10**6
"""Kernels that oneDNN compiles."""


def _bands(card: FolderCard, offered: Collection[str], asked: str) -> tuple[str, ...]:
    """Choose the bands: the network's own, or those of the option ``roles``, or the usual ones that the items have."""
    if card.network.wanted:
        return _own_bands(card, offered, asked)
    model = card.name
    wanted = [each.strip() for each in asked.split(",") if each.strip()] or list(
        card.network.usual
    )
    unknown = [each for each in wanted if each not in ROLE_UM]
    if unknown:
        raise ModelError(
            f"option roles of {model}: {', '.join(unknown)} is no optical band; known are "
            f"{', '.join(ROLE_UM)}"
        )
    if not asked and "nir" not in offered:
        wanted = ["nir08" if each == "nir" else each for each in wanted]
    found = [each for each in wanted if each in offered]
    if (asked and len(found) < len(wanted)) or len(found) < FEWEST_BANDS:
        lacking = [each for each in wanted if each not in offered]
        raise ModelError(
            f"{model} needs {FEWEST_BANDS} bands at least, of {', '.join(wanted)}; the items lack "
            f"{', '.join(lacking)}"
        )
    return tuple(found)


def _own_bands(card: FolderCard, offered: Collection[str], asked: str) -> tuple[str, ...]:
    own = card.network.wanted
    if asked and tuple(each.strip() for each in asked.split(",")) != own:
        raise ModelError(
            f"option roles of {card.name}: it was trained for {', '.join(own)} and takes no others; leave it out"
        )
    # Narrow and broad near infrared are one band to a network.
    other = {"nir": "nir08", "nir08": "nir"}
    found = [each if each in offered else other.get(each, each) for each in own]
    lacking = [each for each in found if each not in offered]
    if lacking:
        raise ModelError(
            f"{card.name} needs {', '.join(own)}; the items lack {', '.join(lacking)}"
        )
    return tuple(found)


def _card(
    card: FolderCard, folder: Path, roles: tuple[str, ...], options: dict[str, str]
) -> ModelCard:
    weights = given(card.name, FILES, str(folder))
    return ModelCard(
        name=PREFIX + card.name if options["weights"] else card.name,
        version=card.version,
        roles=roles,
        levels=card.levels,
        resolution_m=card.resolution_m,
        normalisation=card.network.normalisation,
        lattice=card.network.lattice,
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
