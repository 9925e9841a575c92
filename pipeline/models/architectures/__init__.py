"""The networks that can be trained: what an experiment's `network:` may say, and the facts of each.

One class for each architecture, and a row in `ARCHITECTURES`. An experiment names a kind and its sizes, the card of
the model folder repeats them, and `pipeline.models.networks.trained` makes the network of them again. Free of torch, so
that a run that finds nothing new need not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from pipeline.models.architectures.adversarial import AdaptedShape, GanCdmShape
from pipeline.models.architectures.convolutional import LevelsShape, SpectralUnetShape, UvShape
from pipeline.models.architectures.segmented import SegmenterShape, Sensei2Shape, SenseiShape
from pipeline.models.architectures.shape import Shape

__all__ = [
    "ARCHITECTURES",
    "AdaptedShape",
    "AnyShape",
    "GanCdmShape",
    "SenseiShape",
    "Shape",
    "SpectralUnetShape",
]

ARCHITECTURES: Mapping[str, type[Shape]] = {
    "spectral-unet": SpectralUnetShape,
    "unet": LevelsShape,
    "unet++": LevelsShape,
    "segnet": LevelsShape,
    "fcn": LevelsShape,
    "dl-l8s2-uv": UvShape,
    "deeplabv3+": SegmenterShape,
    "segformer": SegmenterShape,
    "sensei": SenseiShape,
    "sensei-2": Sensei2Shape,
    "adapted": AdaptedShape,
    "gan-cdm": GanCdmShape,
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
    | Annotated[LevelsShape, Tag("LevelsShape")]
    | Annotated[UvShape, Tag("UvShape")]
    | Annotated[SegmenterShape, Tag("SegmenterShape")]
    | Annotated[SenseiShape, Tag("SenseiShape")]
    | Annotated[Sensei2Shape, Tag("Sensei2Shape")]
    | Annotated[AdaptedShape, Tag("AdaptedShape")]
    | Annotated[GanCdmShape, Tag("GanCdmShape")],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message=f"a kind among {', '.join(ARCHITECTURES)}",
    ),
]
"""A shape, chosen by its `kind`; without one it is a spectral-unet."""
