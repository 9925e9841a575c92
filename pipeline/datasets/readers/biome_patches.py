"""Patches of Landsat 8 Biome with their labels, as studies of networks pass them on."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from pipeline.datasets import labels
from pipeline.datasets.files import Array, chosen, need, opened, read_band, reflectance, some
from pipeline.datasets.labels import DatasetCard, Labelled, malformed, recoded
from pipeline.datasets.readers.landsat8_biome import CODES

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22", "cirrus", "tir11")
SHADOWS_DRAWN = ("Forest_00", "Forest_01", "Forest_05", "Forest_08", "GrassCrops_02")
"""Scenes in which shadows are labelled; in the others clear may be shadow."""


class BiomePatches:
    """``<scene>_<patch>.tif`` with ``<scene>_<patch>_label.tif`` beside it."""

    card = DatasetCard(
        name="biome-patches",
        title="Patches of Landsat 8 Biome",
        level="L1C",
        roles=BANDS[:-1],
        resolution_m=30.0,
        known=tuple({*CODES.values(), labels.NOT_CLOUD} - {labels.NO_DATA}),
        layout="<root>/<scene>_<patch>.tif of 8 bands, <scene>_<patch>_label.tif",
        source="Foga et al. 2017, https://doi.org/10.1016/j.rse.2017.03.026 (public domain); patches of "
        "github.com/LK-Peng/CNN-based-Cloud-Detection-Methods (MIT)",
        notes=(f"shadows are labelled in {', '.join(SHADOWS_DRAWN)} alone",),
    )

    def read(self, path: Path, roles: Collection[str] | None = None) -> Iterator[Labelled]:
        """Read the patches; see `pipeline.datasets.labels.Reader`."""
        root = need(path, self.card.layout)
        for mask in some([*root.glob("*_label.tif")], path, self.card.layout):
            yield self._patch(mask, chosen(self.card.roles, roles))

    def _patch(self, mask: Path, wanted: tuple[str, ...]) -> Labelled:
        name = mask.stem.removesuffix("_label")
        codes, _ = read_band(mask)
        image = mask.with_name(f"{name}.tif")
        with opened(image, image) as raster:
            if tuple(raster.descriptions) != BANDS or raster.shape != codes.shape:
                raise malformed(
                    image,
                    f"it is {raster.shape} of {raster.descriptions}",
                    f"{codes.shape} of {', '.join(BANDS)}",
                )
            data: Array = raster.read([BANDS.index(role) + 1 for role in wanted] or [1])
        drawn = name.rpartition("_")[0] in SHADOWS_DRAWN
        table = CODES if drawn else CODES | {128: labels.NOT_CLOUD}
        return Labelled(
            id=name,
            labels=recoded(codes, table, mask),
            resolution_m=self.card.resolution_m,
            level=self.card.level,
            pixels=reflectance(data, 1e-4) if wanted else None,
            roles=wanted,
            tags={"scene": name.rpartition("_")[0]},
        )
