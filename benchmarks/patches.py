"""Look at the stream: a contact sheet of patches beside their labels, and how many are made in a second.

``python -m benchmarks.patches SHEET.png [--seed N] [--kept-back]``
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pipeline.simulate.patches import Patch, PatchSettings, kept_back, make_patch
from pipeline.types import LEGEND

COLOURS = np.array(
    [[int(each.colour[i : i + 2], 16) for i in (1, 3, 5)] for each in LEGEND], np.uint8
)


def nearest(patch: Patch, wanted_um: float):
    """Return the band nearest to a wavelength."""
    where = np.argmin([abs(band.wavelength_um - wanted_um) for band in patch.bands])
    return patch.pixels[where]


def picture(patch: Patch, wavelengths_um: tuple[float, float, float]):
    """Return a picture of three bands, bright enough for ground and clouds."""
    planes = np.stack([nearest(patch, each) for each in wavelengths_um], axis=-1)
    high = max(0.25, float(np.quantile(planes[::4, ::4], 0.97)))
    return (np.clip(planes / high, 0, 1) ** 0.6 * 255).astype(np.uint8)


def row(patch: Patch):
    """Return one patch as pictures side by side: true colour, near infrared, codes, doubt."""
    doubt = np.bitwise_count(patch.labels) > 1
    codes = COLOURS[patch.codes]
    return np.hstack(
        [
            picture(patch, (0.66, 0.56, 0.48)),
            picture(patch, (0.86, 0.66, 0.56)),
            codes,
            np.where(doubt[..., None], np.uint8(255), codes // 2),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sheet", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--columns", type=int, default=2)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--kept-back", action="store_true")
    given = parser.parse_args()
    settings = kept_back(given.size) if given.kept_back else PatchSettings(size_px=given.size)
    started = time.process_time()
    patches = [make_patch(given.seed, i, settings) for i in range(given.rows * given.columns)]
    spent = time.process_time() - started
    quarter = len(patches) * (given.size / 256) ** 2 / spent
    print(f"{len(patches) / spent:.1f} patches/s, {quarter:.1f} of 256 px/s, one core")
    rows = [row(each) for each in patches]
    columns = [np.vstack(rows[i :: given.columns]) for i in range(given.columns)]
    image = Image.fromarray(np.hstack(columns))
    draw = ImageDraw.Draw(image)
    for number, each in enumerate(patches):
        words = (
            f"{each.ground}, {each.sky}, {each.sensor} {each.level} {each.pixel_m:.0f} m, "
            f"sun {np.degrees(each.sun.zenith):.0f}, aod {each.aod:.2f}, {len(each.bands)} bands"
        )
        place = (
            (number % given.columns) * 4 * given.size,
            (number // given.columns) * given.size,
        )
        draw.text(place, words, fill=(255, 60, 60))
    image.save(given.sheet)


if __name__ == "__main__":
    main()
