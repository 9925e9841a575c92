"""Networks that learn against a discriminator; how they learn is `pipeline.training.tasks`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from pipeline.models.architectures.shape import FIXED, Channels, NamedBands, listed
from pipeline.types import CLOUD, Code, Lattice

if TYPE_CHECKING:
    from pipeline.models.networks.network import Network


class AdaptedShape(NamedBands):
    """A generator before the U-Net of DL-L8S2-UV; see `pipeline.models.networks.adversarial.adapted`."""

    kind: Literal["adapted"]
    filters: Channels = 64
    """Channels of the generator."""

    @property
    def stride_px(self) -> int:
        """Edges of images are multiples of this."""
        return 4

    def bytes_per_pixel(self, precision: str) -> int:
        """State the memory of inference; see `Shape`.

        The U-Net's 1100, or the generator's where it is wide: measured with 64 filters and four bands in float32: 1960, of which
        96 are the bands'. In bfloat16 half of it is taken.
        """
        whole = max(1100, 30 * self.filters)
        return whole if precision == "float32" else whole // 2

    def network(self, classes: int) -> Network:
        """Make the network with random weights."""
        from pipeline.models.networks.adversarial.adapted import Adapted  # noqa: PLC0415
        from pipeline.models.networks.network import OfNamedBands  # noqa: PLC0415

        return OfNamedBands(Adapted(len(self.roles), self.filters, classes), self.roles)


class GanCdmShape(NamedBands):
    """What clouds reflect, let through and absorb; see `pipeline.models.networks.adversarial.gan_cdm`."""

    lattice: ClassVar[Lattice] = FIXED
    lowest_px: ClassVar[int] = 2
    classes: ClassVar[Mapping[Code, tuple[Code, ...]]] = {
        Code.CLEAR: (Code.CLEAR, Code.WATER, Code.SNOW, Code.CLOUD_SHADOW),
        Code.THICK_CLOUD: CLOUD,
    }

    kind: Literal["gan-cdm"]
    channels: Annotated[
        tuple[Channels, ...], BeforeValidator(listed), Field(min_length=2, max_length=8)
    ] = (64, 128, 256, 512, 512, 512, 512)
    """At full size, 1/2, 1/4, …"""
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the light that a cloud must reflect to be called one."""

    @property
    def stride_px(self) -> int:
        """Edges of images are multiples of this."""
        return 1 << (len(self.channels) - 1)

    def bytes_per_pixel(self, precision: str) -> int:
        """State the memory of inference; see `Shape`.

        Maps of the two finest levels that live at once: measured with the default channels and four bands in float32: 2111, with (16,
        32, 64, 64) 567, of which 96 are the bands'. In bfloat16 727 with the default channels.
        """
        full, half = self.channels[:2]
        return (5 * full + 2 * half) * {"float32": 4, "bfloat16": 2}[precision]

    def network(self, classes: int) -> Network:  # noqa: ARG002 -- it tells cloud from clear
        """Make the network with random weights."""
        from pipeline.models.networks.adversarial.gan_cdm import CloudParts  # noqa: PLC0415
        from pipeline.models.networks.network import OfNamedBands  # noqa: PLC0415

        return OfNamedBands(
            CloudParts(len(self.roles), self.channels, self.threshold), self.roles
        )
