"""The networks that can be trained: what an experiment's `network:` may say, and the facts of each.

One class for each architecture, and a row in `ARCHITECTURES`. An experiment names a kind and its sizes, the card of
the model folder repeats them, and `pipeline.models.networks.trained` makes the network of them again. Free of torch, so
that a run that finds nothing new need not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator

from pipeline.models.wavelengths import ROLE_UM
from pipeline.types import Lattice
from pipeline.types.settings import Section
from pipeline.types.values import refuse

if TYPE_CHECKING:
    from pipeline.models.networks.network import Network


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Channels = Annotated[int, Field(ge=4, le=1024)]

WIDE = Lattice(core_px=768, halo_px=96)
"""For networks whose pixels see a bounded neighbourhood. Edges are multiples of every stride, so that the pixels of the
lowest level form one grid over all windows."""


class Shape(Section):
    """An architecture and its sizes."""

    lattice: ClassVar[Lattice] = WIDE
    """Windows that it runs on: a pixel's scores depend on its window alone, so any partition gives the same mask."""
    fewest_batch: ClassVar[int] = 1
    """Samples of a batch: norms of a mean over the whole image need two."""
    normalisation: ClassVar[str] = "reflectance, by a fixed rule; NaN mirrored"

    init: str = ""
    """Model folder whose weights it begins with; its shape must be the same."""

    @property
    def stride_px(self) -> int:
        """Edges of images are multiples of this."""
        raise NotImplementedError

    @property
    def wanted(self) -> tuple[str, ...]:
        """The roles of the bands that it needs, in their order; none: it takes any bands."""
        return ()

    @property
    def bare(self) -> Shape:
        """The shape alone, without what was said of its training."""
        return self.model_copy(update={"init": ""})

    def bytes_per_pixel(self, precision: str) -> int:
        """Return the peak memory of inference for each pixel of a window, beside the features of its bands.

        Parameters
        ----------
        precision
            ``float32`` or ``bfloat16``.
        """
        raise NotImplementedError

    def network(self, classes: int) -> Network:
        """Make the network with random weights."""
        raise NotImplementedError


class SpectralUnetShape(Shape):
    """A small U-Net for any bands; see `pipeline.models.networks.spectral_unet`."""

    normalisation: ClassVar[str] = (
        "reflectance and its logarithm, by a fixed rule; NaN mirrored"
    )

    kind: Literal["spectral-unet"] = "spectral-unet"
    channels: Annotated[
        tuple[Channels, Channels, Channels, Channels, Channels], BeforeValidator(_listed)
    ] = (8, 32, 64, 112, 176)
    """At full size, 1/2, 1/4, 1/8 and 1/16."""
    spectral: Annotated[int, Field(ge=8, le=512, multiple_of=4)] = 48
    """Size of a band's embedding."""

    @property
    def stride_px(self) -> int:
        """Edges of images are multiples of this."""
        return 16

    def bytes_per_pixel(self, precision: str) -> int:
        """State the memory of inference; see `Shape`.

        At half resolution the skip connection, the upsampled level below, their sum and its convolutions, and at full
        resolution the scores. Measured with the recipe's widths and four bands: 525 and 319 with the features, which
        count 96. A megapixel of ground costs .46 CPU seconds in float32 and .26 in bfloat16 (EPYC with AVX512-BF16),
        halos included.
        """
        return {"float32": 450, "bfloat16": 240}[precision]

    def network(self, classes: int) -> Network:
        """Make the network with random weights."""
        # torch takes seconds to import, which runs that find nothing new must not wait for.
        from pipeline.models.networks.spectral_unet import SpectralUnet, Width  # noqa: PLC0415

        return SpectralUnet(classes, Width(channels=self.channels, spectral=self.spectral))


class NamedBands(Shape):
    """A network for certain bands: the first layer has weights for each."""

    roles: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)] = (
        "blue",
        "green",
        "red",
        "nir",
    )

    @field_validator("roles")
    @classmethod
    def _optical(cls, roles: tuple[str, ...]) -> tuple[str, ...]:
        for role in roles:
            if role not in ROLE_UM:
                refuse(f"optical bands among {', '.join(ROLE_UM)}", key="", found=role)
        return roles

    @property
    def wanted(self) -> tuple[str, ...]:
        """The roles of its bands."""
        return self.roles


class LevelsShape(NamedBands):
    """A network of levels, each at half the size of the one before; see `pipeline.models.networks.levels`."""

    kind: Literal["unet", "unet++", "segnet", "fcn"]
    channels: Annotated[
        tuple[Channels, ...], BeforeValidator(_listed), Field(min_length=2, max_length=6)
    ] = (32, 64, 128, 256)
    """At full size, 1/2, 1/4, …"""

    @property
    def stride_px(self) -> int:
        """Edges of images are multiples of this."""
        return 1 << (len(self.channels) - 1)

    def bytes_per_pixel(self, precision: str) -> int:
        """State the memory of inference; see `Shape`.

        Maps of the first level that live at once, in float32: measured with the default channels and four bands, 1574 bytes
        for a U-Net, 2718 for a U-Net++, 838 for a SegNet and 457 for an FCN, of which 96 are the bands'. In bfloat16 half of it is taken.
        """
        full, half = self.channels[:2]
        below = sum(each / 4**level for level, each in enumerate(self.channels) if level)
        maps = {
            "unet": 4 * full + 2 * half,
            "unet++": 2 * len(self.channels) * full + 2 * half + 3 * below,
            "segnet": 6 * full,
            "fcn": 3 * full,
        }[self.kind]
        return int(1.35 * (maps + below) * {"float32": 4, "bfloat16": 2}[precision])

    def network(self, classes: int) -> Network:
        """Make the network with random weights."""
        from pipeline.models.networks import levels  # noqa: PLC0415
        from pipeline.models.networks.network import OfNamedBands  # noqa: PLC0415

        body = levels.BODIES[self.kind](len(self.roles), self.channels, classes)
        return OfNamedBands(body, self.roles)


ARCHITECTURES: Mapping[str, type[Shape]] = {
    "spectral-unet": SpectralUnetShape,
    "unet": LevelsShape,
    "unet++": LevelsShape,
    "segnet": LevelsShape,
    "fcn": LevelsShape,
}
"""Kind -> its class."""


def _kind(value: Any) -> str | None:  # noqa: ANN401 -- what a file says, or a shape
    found = (
        value.get("kind", "spectral-unet")
        if isinstance(value, dict)
        else getattr(value, "kind", None)
    )
    shape = ARCHITECTURES.get(str(found))
    return shape.__name__ if shape else None


AnyShape = Annotated[
    Annotated[SpectralUnetShape, Tag("SpectralUnetShape")]
    | Annotated[LevelsShape, Tag("LevelsShape")],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message=f"a kind among {', '.join(ARCHITECTURES)}",
    ),
]
"""A shape, chosen by its `kind`; without one it is a spectral-unet."""
