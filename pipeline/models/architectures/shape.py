"""What every architecture has: facts of its windows, its memory, and the bands that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BeforeValidator, Field, field_validator

from pipeline.models.wavelengths import ROLE_UM
from pipeline.types import Code, Lattice
from pipeline.types.settings import Section
from pipeline.types.values import refuse

if TYPE_CHECKING:
    from pipeline.models.networks.network import Network


def listed(value: object) -> object:
    """Return a list as a tuple, anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


Channels = Annotated[int, Field(ge=4, le=1024)]

WIDE = Lattice(core_px=896, halo_px=128)
"""For networks whose pixels see a bounded neighbourhood. Edges are multiples of every stride, so that the pixels of the
lowest level form one grid over all windows. Of cloudmask-si, whose pixels see up to 186 px far, windows placed elsewhere
change .06 % of the pixels of real images with this halo, .5 % with one of 96 px, and none with one of 192 px."""


FIXED = Lattice(core_px=384, halo_px=64)
"""For networks that look at their window as a whole in places: windows are as large as the patches of their papers, 512 px,
and lie on a fixed lattice."""


SEVEN: Mapping[Code, tuple[Code, ...]] = {
    code: (code,) for code in Code if code != Code.NO_DATA
}
"""Every class of the legend by itself; no data is none that a network tells."""


class Shape(Section):
    """An architecture and its sizes."""

    classes: ClassVar[Mapping[Code, tuple[Code, ...]]] = SEVEN
    """The classes that it tells apart, in the order of its scores, and the codes that each stands for."""
    lowest_px: ClassVar[int] = 1
    """Edge of the lowest level's image that training needs: norms over a whole image need more than one pixel."""

    lattice: ClassVar[Lattice] = WIDE
    """Windows that it runs on: a pixel's scores depend on its window alone, so any partition gives the same mask."""
    fewest_batch: ClassVar[int] = 1
    """Samples of a batch: norms of a mean over the whole image need two."""
    normalisation: ClassVar[str] = "reflectance, by a fixed rule; NaN mirrored"
    shortens: ClassVar[bool] = True
    """Whether it may run in fewer bits than float32."""

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
    def usual(self) -> tuple[str, ...]:
        """The roles of the bands that a job gives it where it takes any, those of them that the items have."""
        return ("blue", "green", "red", "nir")

    @property
    def bare(self) -> Shape:
        """The shape alone, without what was said of its training."""
        return self.model_copy(update={"init": ""})

    @property
    def own_loss(self) -> float:
        """The weight of `pipeline.training.losses.recovery` of what it recovers."""
        return 0.0

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


class NamedBands(Shape):
    """A network for certain bands: the first layer has weights for each."""

    roles: Annotated[tuple[str, ...], BeforeValidator(listed), Field(min_length=1)] = (
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
