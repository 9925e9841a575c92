"""CloudSEN12, first release, high-quality labels as raw arrays (``.dat``), one file a band."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from pipeline.datasets.file_reader import DatasetReader, masked
from pipeline.datasets.files import Array, need, reflectance, some
from pipeline.datasets.labels import DatasetCard, Labelled, malformed, recoded
from pipeline.datasets.readers.cloudsen12 import HIGH, ROLES, CloudSen12

EDGE_PX = 512
LABEL = "LABEL_manual_hq.dat"
BANDS = dict(
    zip(
        ROLES,
        ("1", "2", "3", "4", "5", "6", "7", "8", "8A", "9", "10", "11", "12"),
        strict=True,
    )
)


class CloudSen12Memmap(DatasetReader):
    """``<root>/{train,val,test}/L1C_B1.dat …`` and ``LABEL_manual_hq.dat``, row by row, no header.

    Images of 509 px are padded to 512 by zeros: there is no image there.
    """

    card = DatasetCard(
        name="cloudsen12-memmap",
        title="CloudSEN12, high-quality labels (raw arrays)",
        level="L1C",
        roles=ROLES,
        resolution_m=10.0,
        known=tuple(HIGH.values()),
        layout=(
            f"<root>/{{train,val,test}}/L1C_B1.dat … L1C_B12.dat (int16 × 1e-4) and {LABEL} (int8), "
            "each (N, 512, 512)"
        ),
        source=CloudSen12.card.source,
    )

    def read(self, path: Path, roles: Collection[str] | None = None) -> Iterator[Labelled]:
        """Read the images, part by part; see `pipeline.datasets.labels.Reader`."""
        root = need(path, self.card.layout)
        wanted = self.chosen(roles)
        # The first band is always read: it shows where there is no image.
        read = tuple(dict.fromkeys((ROLES[0], *wanted)))
        for file in some([*root.rglob(LABEL)], path, self.card.layout):
            drawn = _mapped(file, np.dtype(np.int8), None)
            bands = [
                _mapped(
                    file.with_name(f"L1C_B{BANDS[role]}.dat"), np.dtype(np.int16), len(drawn)
                )
                for role in read
            ]
            for number, codes in enumerate(drawn):
                pixels = reflectance(np.stack([band[number] for band in bands]), 1e-4)
                indices = [read.index(role) for role in wanted]
                yield self.labelled(
                    f"{file.parent.name}/{number:05d}",
                    masked(recoded(codes, HIGH, file), pixels),
                    pixels=pixels[indices],
                    roles=wanted,
                    split=file.parent.name,
                )


def _mapped(file: Path, dtype: np.dtype[np.signedinteger], count: int | None) -> Array:
    """Map (N, 512, 512) into memory; the file has no header, so its size must be right."""
    size = need(file, CloudSen12Memmap.card.layout).stat().st_size
    whole, rest = divmod(size, EDGE_PX * EDGE_PX * dtype.itemsize)
    if rest or not whole or (count is not None and whole != count):
        wanted = "a whole number of" if count is None else f"{count}"
        raise malformed(file, f"it has {size} bytes", f"{wanted} {dtype} images of 512 × 512")
    mapped: Array = np.memmap(file, dtype=dtype, mode="r", shape=(whole, EDGE_PX, EDGE_PX))
    return mapped
