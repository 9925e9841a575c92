"""Networks that end in a segmenter, which sees its window as a whole in places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from pipeline.models.architectures.shape import FIXED, Channels, NamedBands, Shape
from pipeline.types import Lattice
from pipeline.types.values import refuse

if TYPE_CHECKING:
    from pipeline.models.networks.network import Network


SEGMENTER_BYTES = {
    "mobilenet_v2": 700,
    "resnet34": 900,
    "resnet50": 1700,
    "mit_b0": 900,
    "mit_b2": 1600,
}
"""Of the encoder, its decoder and the scores, float32. Measured with four bands, theirs included: 784 with mit_b0, 896 with mit_b2,
428 with mobilenet_v2; behind SEnSeI 794, behind SEnSeI-v2 874. Those of the ResNets are bounds from their widths: making such
a network takes more than a window does, and hid it."""


class Segmented(Shape):
    """A segmenter: SegFormer with an encoder ``mit_…``, else DeepLabv3+; see `pipeline.models.networks.segmenters`."""

    lattice: ClassVar[Lattice] = FIXED
    fewest_batch: ClassVar[int] = 2

    encoder: Literal["mobilenet_v2", "resnet34", "resnet50", "mit_b0", "mit_b2"]

    @property
    def stride_px(self) -> int:
        """Edges of images are multiples of this."""
        return 32

    def bytes_per_pixel(self, precision: str) -> int:
        """State the memory of inference; see `Shape`."""
        whole = SEGMENTER_BYTES[self.encoder]
        return whole if precision == "float32" else whole // 2

    def segmenter(self, n_in: int, classes: int) -> Any:  # noqa: ANN401 -- a module of torch
        """Make the segmenter behind `n_in` channels."""
        from pipeline.models.networks.segmenters import deeplab, segformer  # noqa: PLC0415

        make = segformer if self.encoder.startswith("mit_") else deeplab
        return make(n_in, self.encoder, classes)


class SegmenterShape(Segmented, NamedBands):
    """A segmenter for certain bands."""

    kind: Literal["deeplabv3+", "segformer"]

    @model_validator(mode="after")
    def _encoder_fits(self) -> SegmenterShape:
        if (self.kind == "segformer") != self.encoder.startswith("mit_"):
            wanted = "mit_b0 or mit_b2" if self.kind == "segformer" else "no mit_… one"
            refuse(wanted, key="encoder", found=self.encoder)
        return self

    def network(self, classes: int) -> Network:
        """Make the network with random weights."""
        from pipeline.models.networks.network import OfNamedBands  # noqa: PLC0415

        return OfNamedBands(self.segmenter(len(self.roles), classes), self.roles)


class SenseiShape(Segmented):
    """SEnSeI's first edition before a segmenter; see `pipeline.models.networks.sensei`."""

    kind: Literal["sensei"]
    encoder: Literal["mobilenet_v2", "resnet34", "resnet50", "mit_b0", "mit_b2"] = (
        "mobilenet_v2"
    )
    pretrain_steps: Annotated[int, Field(ge=0)] = 0
    """Steps in which the embedding alone learns from random bands first; see `pipeline.training.pretraining`."""
    pretrain_batch: Annotated[int, Field(ge=1)] = 256

    def bytes_per_pixel(self, precision: str) -> int:
        """State the memory of inference: 64 features at full size, twice, beside the segmenter's; see `Shape`."""
        return super().bytes_per_pixel(precision) + 2 * 64 * (
            4 if precision == "float32" else 2
        )

    def network(self, classes: int) -> Network:
        """Make the network with random weights."""
        from pipeline.models.networks.any_bands import SenseiNetwork  # noqa: PLC0415

        return SenseiNetwork(self.segmenter(64, classes))


class Sensei2Shape(Segmented):
    """SEnSeI-v2 before a segmenter; see `pipeline.models.networks.sensei_2`."""

    normalisation: ClassVar[str] = (
        "reflectance, told beside its percentiles in the window; NaN mirrored"
    )
    shortens: ClassVar[bool] = False

    kind: Literal["sensei-2"]
    encoder: Literal["mobilenet_v2", "resnet34", "resnet50", "mit_b0", "mit_b2"] = "mit_b0"
    size: Annotated[int, Field(ge=8, le=512, multiple_of=4)] = 64
    """Of a band's embedding."""
    features: Channels = 32
    recovery: Annotated[float, Field(ge=0)] = 0.1
    """Weight of the loss that asks for the bands back from the features."""

    @property
    def own_loss(self) -> float:
        """The weight of the recovery loss."""
        return self.recovery

    def bytes_per_pixel(self, precision: str) -> int:
        """State the memory of inference: features five times over, places in a histogram; see `Shape`."""
        return super().bytes_per_pixel(precision) + 5 * 4 * self.features + 100

    def network(self, classes: int) -> Network:
        """Make the network with random weights."""
        from pipeline.models.networks.any_bands import Sensei2Network  # noqa: PLC0415
        from pipeline.models.networks.sensei_2 import Sensei2  # noqa: PLC0415

        bands = Sensei2(self.size, self.features)
        return Sensei2Network(bands, self.segmenter(self.features, classes))
