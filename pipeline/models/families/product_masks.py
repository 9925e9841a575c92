"""The masks that come with products, as models: a table of codes or bits instead of a network.

A window holds the product's own numbers, read by nearest neighbour; NaN = no data. Scores are one-hot: each pixel
has one class, with probability one. No data is the first class, so that a number missing in the product's table is
never taken for clear.

=============  =================================  ============================================
name           product                            role
=============  =================================  ============================================
``scl``        Sentinel-2 L2A                     ``scl``: classes
``qa-pixel``   Landsat 4-9 Collection 2           ``qa_pixel``: bits
``fmask``      HLS v2.0                           ``fmask``: bits
``dea-fmask``  Digital Earth Australia            ``dea_fmask``: classes
=============  =================================  ============================================
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.models.families import options as option
from pipeline.sensors import qa
from pipeline.types import Code, Lattice, Model, ModelCard

Table = NDArray[np.uint8]
"""(V,) code of `Code` for every number that the product's type holds."""

CODES_OF_CLASSES: Mapping[str, Code] = {
    "no_data": Code.NO_DATA,
    # It tells neither ground nor cloud.
    "saturated_or_defective": Code.NO_DATA,
    "dark_area_pixels": Code.CLEAR,
    "cloud_shadows": Code.CLOUD_SHADOW,
    "cloud_shadow": Code.CLOUD_SHADOW,
    "vegetation": Code.CLEAR,
    "not_vegetated": Code.CLEAR,
    "clear": Code.CLEAR,
    "unclassified": Code.CLEAR,
    "water": Code.WATER,
    "snow": Code.SNOW,
    "cloud": Code.THICK_CLOUD,
    "cloud_medium_probability": Code.THICK_CLOUD,
    "cloud_high_probability": Code.THICK_CLOUD,
    "thin_cirrus": Code.THIN_CLOUD,
}
"""Names of `pipeline.sensors.qa` -> legend. SCL's dark areas are terrain shadows and dark ground; its unclassified
pixels failed every test of its algorithm, those for clouds included."""

_WORST_FIRST: tuple[tuple[str, Code], ...] = (
    ("fill", Code.NO_DATA),
    ("cloud", Code.THICK_CLOUD),
    ("cirrus", Code.THIN_CLOUD),
    ("cloud_shadow", Code.CLOUD_SHADOW),
    ("dilated_cloud", Code.THICK_CLOUD),
    ("adjacent", Code.THICK_CLOUD),
    ("snow", Code.SNOW),
    ("water", Code.WATER),
)
"""In order of priority: of several bits that are set, the first of these decides."""

LATTICE = Lattice(core_px=512, halo_px=0)
DILATED = ("cloud", "ignore")
"""Values of the option for the band of pixels round clouds; the first is the default, because QA_PIXEL's
own bit ``clear`` excludes them and the guide of HLS advises to leave them out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One product's mask."""

    role: str
    table: Callable[[bool], Table]
    """Takes whether the pixels round clouds count as cloud."""
    dilates: str
    """The bit for pixels round clouds, empty if the product has none."""
    levels: tuple[str, ...]
    resolution_m: tuple[float, float]
    licence: str
    source: str
    accuracy: str


def _from_classes(classes: Mapping[int, str]) -> Callable[[bool], Table]:
    def table(_: bool) -> Table:
        codes = np.zeros(256, np.uint8)
        for number, name in classes.items():
            codes[number] = CODES_OF_CLASSES[name]
        return codes

    return table


def _from_bits(
    bits: Mapping[str, qa.Bits],
    dtype: type[np.unsignedinteger[Any]],
    unused: tuple[str, ...] = (),
) -> Callable[[bool], Table]:
    def table(dilated: bool) -> Table:
        numbers = np.arange(np.iinfo(dtype).max + 1)
        codes = np.full(numbers.shape, Code.CLEAR, np.uint8)
        skipped = unused if dilated else (*unused, "dilated_cloud", "adjacent")
        for name, code in reversed(_WORST_FIRST):
            if name in bits and name not in skipped:
                codes[(numbers & bits[name].mask) != 0] = code
        return codes

    return table


def _hls(dilated: bool) -> Table:
    # The cirrus bit is reserved in v2.0 and means nothing.
    codes = _from_bits(qa.FMASK, np.uint8, unused=("cirrus",))(dilated)
    codes[qa.FMASK_FILL] = Code.NO_DATA
    return codes


PRODUCTS: Mapping[str, Product] = {
    "scl": Product(
        role="scl",
        table=_from_classes(qa.SCL),
        dilates="",
        levels=("L2A",),
        resolution_m=(10.0, 60.0),
        licence="legal notice on the use of Copernicus Sentinel data",
        source="ESA, Sentinel-2 L2A ATBD (Sen2Cor): scene classification",
        accuracy="differs by processing baseline; see the mission's data quality reports",
    ),
    "qa-pixel": Product(
        role="qa_pixel",
        table=_from_bits(qa.QA_PIXEL, np.uint16),
        dilates="dilated_cloud",
        levels=("L1C", "L2A"),
        resolution_m=(30.0, 60.0),
        licence="public domain (USGS)",
        source="USGS LSDS-1619, table 6-3 (CFMask)",
        accuracy="Foga et al. 2017, https://doi.org/10.1016/j.rse.2017.03.026: CFMask over Landsat 8 "
        "Biome and others",
    ),
    "fmask": Product(
        role="fmask",
        table=_hls,
        dilates="adjacent",
        levels=("L2A",),
        resolution_m=(10.0, 60.0),
        licence="public domain (NASA)",
        source="LP DAAC, HLS Product User Guide v2.0, table 9 (Fmask 4)",
        accuracy="Qiu, Zhu, He 2019, https://doi.org/10.1016/j.rse.2019.05.024: Fmask 4 over its own "
        "validation pixels",
    ),
    "dea-fmask": Product(
        role="dea_fmask",
        table=_from_classes(qa.DEA_FMASK),
        dilates="",
        levels=("L2A",),
        resolution_m=(10.0, 60.0),
        licence="CC-BY-4.0 (Geoscience Australia)",
        source="Digital Earth Australia, Analysis Ready Data: oa_fmask",
        accuracy="as of Fmask",
    ),
}


class ProductMask:
    """A product's mask as a model: a table look-up."""

    def __init__(self, card: ModelCard) -> None:
        """Build the table of a card that `ProductMasks.resolve` gave."""
        product = PRODUCTS[card.name]
        self.card = card
        self._codes = product.table(card.options.get("dilated") == "cloud")
        # (V, K): numbers of the product -> one-hot scores.
        classes = np.array(card.classes, np.uint8)
        self._scores = (self._codes[:, np.newaxis] == classes).astype(np.float32)

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Look up windows (N, 1, H, W) of the product's numbers; see `pipeline.types.Model`.

        Returns
        -------
        (N, K, H, W), one-hot. NaN, and numbers outside the product's type, are no data.
        """
        numbers = windows[:, 0]
        sound = (numbers >= 0) & (numbers < len(self._codes)) & (numbers == np.floor(numbers))
        # Nothing else may be cast: the integer that NaN becomes differs between processors.
        index = np.where(sound, numbers, 0).astype(np.intp)
        scores = self._scores[index]
        scores[~sound] = np.eye(1, len(self.card.classes), dtype=np.float32)
        return np.ascontiguousarray(np.moveaxis(scores, -1, 1))


class ProductMasks:
    """The provider of these models; see `pipeline.models.Provider`."""

    def names(self) -> tuple[str, ...]:
        """Return the products' names."""
        return tuple(PRODUCTS)

    def resolve(
        self, name: str, *, level: str, roles: Collection[str], options: Mapping[str, Any]
    ) -> ModelCard:
        """Return the card of a product's mask; see `pipeline.models.resolve`."""
        product = PRODUCTS[name]
        option.require_fit(name, (product.role,), roles, level=level, levels=product.levels)
        known = {"dilated": (DILATED[0], option.one_of(*DILATED))} if product.dilates else {}
        return _card(name, product, option.resolve(name, options, known))

    def alignment_px(self, _: ModelCard) -> int:
        """Return 1: windows may begin anywhere, because a pixel is looked up by itself."""
        return 1

    def load(self, card: ModelCard) -> Model:
        """Build the table of a card; see `pipeline.models.load`."""
        return ProductMask(card)

    def bytes_needed(self, card: ModelCard, *, windows: int) -> int:
        """State the memory of a look-up; see `pipeline.models.bytes_needed`."""
        # The index (8 bytes), and the scores twice: looked up and returned.
        return windows * card.lattice.window_px**2 * (8 + 2 * 4 * len(card.classes))


def _card(name: str, product: Product, options: dict[str, str]) -> ModelCard:
    given = np.unique(product.table(options.get("dilated") == "cloud"))
    classes = (Code.NO_DATA, *(Code(code) for code in given if code != Code.NO_DATA))
    return ModelCard(
        name=name,
        version="1",
        roles=(product.role,),
        levels=product.levels,
        resolution_m=product.resolution_m,
        normalisation="none: the product's own numbers; NaN is no data",
        lattice=LATTICE,
        classes=classes,
        scores="probabilities",
        weights="none: the mask that the product brings along",
        weights_sha256="",
        licence=product.licence,
        source=product.source,
        accuracy=product.accuracy,
        options=options,
    )
