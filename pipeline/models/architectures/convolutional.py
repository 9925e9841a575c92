"""Networks of convolutions alone, whose pixels see a bounded neighbourhood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from pipeline.models.architectures.shape import Channels, NamedBands, Shape, listed

if TYPE_CHECKING:
    from pipeline.models.networks.network import Network


class SpectralUnetShape(Shape):
    """A small U-Net for any bands; see `pipeline.models.networks.spectral_unet`."""

    normalisation: ClassVar[str] = (
        "reflectance and its logarithm, by a fixed rule; NaN mirrored"
    )

    kind: Literal["spectral-unet"] = "spectral-unet"
    channels: Annotated[
        tuple[Channels, Channels, Channels, Channels, Channels], BeforeValidator(listed)
    ] = (8, 32, 64, 112, 176)
    """At full size, 1/2, 1/4, 1/8 and 1/16."""
    spectral: Annotated[int, Field(ge=8, le=512, multiple_of=4)] = 48
    """Size of a band's embedding."""
    infrared: bool = False
    """It has learnt from shortwave infrared, too, so that a job reads it where the items have it."""

    @property
    def usual(self) -> tuple[str, ...]:
        """The roles of the bands that a job gives it; see `Shape`."""
        return (*super().usual, *(("swir16", "swir22") if self.infrared else ()))

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


class LevelsShape(NamedBands):
    """A network of levels, each at half the size of the one before; see `pipeline.models.networks.levels`."""

    kind: Literal["unet", "unet++", "segnet", "fcn"]
    channels: Annotated[
        tuple[Channels, ...], BeforeValidator(listed), Field(min_length=2, max_length=6)
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


class UvShape(NamedBands):
    """The U-Net of DL-L8S2-UV; see `pipeline.models.networks.dl_l8s2_uv`."""

    kind: Literal["dl-l8s2-uv"]

    @property
    def stride_px(self) -> int:
        """Edges of images are multiples of this."""
        return 4

    def bytes_per_pixel(self, precision: str) -> int:
        """State the memory of inference; see `Shape`.

        Measured with four bands in float32: 1053, of which 96 are the bands'. In bfloat16 half of it is taken.
        """
        return {"float32": 1100, "bfloat16": 550}[precision]

    def network(self, classes: int) -> Network:
        """Make the network with random weights."""
        from pipeline.models.networks.dl_l8s2_uv import Trainable  # noqa: PLC0415
        from pipeline.models.networks.network import OfNamedBands  # noqa: PLC0415

        return OfNamedBands(Trainable(len(self.roles), classes), self.roles)
