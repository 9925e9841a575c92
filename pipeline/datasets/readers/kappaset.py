"""KappaSet: sub-tiles of Sentinel-2 as NetCDF (Domnich et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import xarray as xr

from pipeline.datasets import labels
from pipeline.datasets.file_reader import FileReader
from pipeline.datasets.files import check_shape, reflectance
from pipeline.datasets.labels import DatasetCard, Labelled, malformed, recoded

BANDS = {
    "coastal": "B01",
    "blue": "B02",
    "green": "B03",
    "red": "B04",
    "rededge1": "B05",
    "rededge2": "B06",
    "rededge3": "B07",
    "nir": "B08",
    "nir08": "B8A",
    "wvp": "B09",
    "cirrus": "B10",
    "swir16": "B11",
    "swir22": "B12",
}
TABLE = {
    0: labels.NO_DATA,
    1: labels.CLEAR,
    2: labels.SHADOW,
    3: labels.THIN,
    4: labels.THICK,
    5: labels.IGNORED,
}
SCALE = 6.5535
"""The files have numbers / 65535; reflectance is numbers / 10000."""
EDGE_PX = 512


class KappaSet(FileReader):
    """``*.nc`` of the variables B01 … B12 and Label."""

    card = DatasetCard(
        name="kappaset",
        title="KappaSet",
        level="L1C",
        roles=tuple(BANDS),
        resolution_m=10.0,
        known=(labels.CLEAR, labels.SHADOW, labels.THIN, labels.THICK),
        layout="<root>/**/*.nc with variables B01 … B12 (float, number / 65535) and Label, 512 × 512",
        source="Domnich et al. 2021, https://doi.org/10.3390/rs13204100 (KappaMask)",
        notes=("the undefined class (5) is ignored",),
    )

    def files(self, root: Path) -> Iterable[Path]:
        """Return the sub-tiles."""
        return [root] if root.is_file() else root.rglob("*.nc")

    def image(self, root: Path, file: Path, wanted: tuple[str, ...]) -> Labelled:  # noqa: ARG002
        """Read a sub-tile."""
        try:
            with xr.open_dataset(file, engine="h5netcdf", mask_and_scale=False) as dataset:
                lacking = [
                    name
                    for name in ("Label", *(BANDS[role] for role in wanted))
                    if name not in dataset
                ]
                if lacking:
                    raise malformed(file, f"it has no {', '.join(lacking)}", self.card.layout)
                raw = [dataset[BANDS[role]].to_numpy() for role in wanted]
                codes = dataset["Label"].to_numpy()
        except (OSError, ValueError) as error:
            raise malformed(file, f"it cannot be read ({error})", "a NetCDF file") from None
        for array in (codes, *raw):
            check_shape(file, array.shape, (EDGE_PX, EDGE_PX))
        drawn = recoded(codes, TABLE, file)
        pixels = reflectance(np.stack(raw), SCALE, fill=None) if raw else None
        if pixels is not None:
            pixels[:, drawn == labels.NO_DATA] = np.nan
        return self.labelled(file.stem, drawn, pixels=pixels, roles=wanted)
