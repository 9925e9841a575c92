"""Models against the labelled real images at hand: chips, Biome patches, hand-painted shadows.

``python -m benchmarks.real_data MODEL… [--data ../shared/data] [--only Forest_00,chip_3] [--pixels-m 10,20,30] [--moved]
[--json OUT]``

MODEL is a name as in `cloudmask models list` or a model folder. Pixels of all images of a set together: precision,
recall and F1 of cloud, and of shadow on images that have some, and the share of clear ground kept, where labels
decide them; nothing is buffered.
With ``--pixels-m 10,20,30``, the model sees means of so large pixels, as with ``mask.resolution_m``, and its classes are compared
with the labels at their own pixels; images whose pixels do not divide these are left out.
With ``--moved``, each image is masked a second time, moved by a fraction of a window against the lattice: the share of pixels whose
class that changes says how much windows show.
With ``--only``, images whose ids begin so: what a training left out, so that folds by scene are one run each.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.cube.resample import block_mean
from pipeline.datasets import labels, reader_of
from pipeline.datasets.labels import Labelled
from pipeline.errors import ModelError
from pipeline.evaluate import Agreement
from pipeline.evaluate.labelled import Masker, by_model
from pipeline.models import load, resolve
from pipeline.types import CLOUD, USABLE, Code

SETS = {
    "chips": "labelled",
    "biome-patches": "clouds/l8_biome",
    "alberta": "clouds/s2_shadow_alberta",
}
GROUPS = {"cloud": (labels.CLOUD, CLOUD), "shadow": (labels.SHADOW, (Code.CLOUD_SHADOW,))}


def agreement(codes, drawn, group: str) -> Agreement:
    """Count a group against the rest, where the labels leave no doubt."""
    bits, members = GROUPS[group]
    found = np.isin(codes, members)
    yes = (drawn != 0) & (drawn & ~np.uint8(bits) == 0)
    no = (drawn & np.uint8(bits) == 0) & (drawn & np.uint8(labels.NO_DATA) == 0) & (drawn != 0)
    seen = codes != Code.NO_DATA
    return Agreement(
        tp=int((found & yes & seen).sum()),
        fn=int((~found & yes & seen).sum()),
        fp=int((found & no & seen).sum()),
        tn=int((~found & no & seen).sum()),
    )


def added(one: Agreement, other: Agreement) -> Agreement:
    return Agreement(
        tp=one.tp + other.tp, fn=one.fn + other.fn, fp=one.fp + other.fp, tn=one.tn + other.tn
    )


def larger(image: Labelled, pixel_m: float | None) -> tuple[Labelled, int] | None:
    """Return an image with larger pixels, and how many of its own lie along an edge of one; None: they do not fit."""
    if pixel_m is None or image.pixels is None:
        return image, 1
    factor = round(pixel_m / image.resolution_m)
    if factor < 1 or abs(factor * image.resolution_m - pixel_m) > 1e-6 * pixel_m:
        return None
    # Edges that fill no larger pixel are means of what there is.
    beyond = [(0, -size % factor) for size in image.pixels.shape[1:]]
    filled = np.pad(image.pixels, [(0, 0), *beyond], constant_values=np.nan)
    means = np.stack([block_mean(band, factor) for band in filled])
    return dataclasses.replace(image, pixels=means, resolution_m=pixel_m), factor


MOVED_PX = 102
"""Rows and columns by which an image is moved against the lattice of windows, in pixels that the model sees."""


def codes_of(masker: Masker, image: Labelled, pixel_m: float | None, moved_px: int = 0):
    """Mask an image from pixels of a size; None: its own do not fit."""
    seen = larger(image, pixel_m)
    if seen is None:
        return None
    image_seen, factor = seen
    if moved_px:
        beside = [(0, 0), (moved_px, 0), (moved_px, 0)]
        pixels = np.pad(image_seen.pixels, beside, constant_values=np.nan)
        image_seen = dataclasses.replace(image_seen, pixels=pixels, geobox=None)
    codes = masker.predict(image_seen)[moved_px:, moved_px:]
    codes = codes.repeat(factor, axis=0).repeat(factor, axis=1)
    return codes[: image.labels.shape[0], : image.labels.shape[1]]


def measured(
    model: str,
    images: Iterator[Labelled],
    card,
    pixel_m: float | None = None,
    *,
    moved: bool = False,
) -> dict[str, object]:
    """Mask images and add up what agrees."""
    chosen = resolve(model, level=card.level, roles=card.roles)
    masker = by_model(load(chosen), card)
    sums = {name: Agreement(tp=0, fn=0, fp=0, tn=0) for name in GROUPS}
    clear = kept = count = 0
    changed = seen = 0
    spent = 0.0
    worst: list[tuple[float, str]] = []
    for image in images:
        begun = time.process_time()
        codes = codes_of(masker, image, pixel_m)
        spent += time.process_time() - begun
        if codes is None:
            continue
        if moved:
            changed += int((codes_of(masker, image, pixel_m, MOVED_PX) != codes).sum())
            seen += int((codes != Code.NO_DATA).sum())
        here = {name: agreement(codes, image.labels, name) for name in GROUPS}
        if not here["shadow"].tp + here["shadow"].fn:
            # Where no shadow is drawn, none was looked for.
            here["shadow"] = Agreement(tp=0, fn=0, fp=0, tn=0)
        sums = {name: added(sums[name], here[name]) for name in GROUPS}
        ground = (image.labels != 0) & (image.labels & ~np.uint8(labels.CLEAR) == 0)
        clear += int(ground.sum())
        kept += int((ground & np.isin(codes, USABLE)).sum())
        worst.append((1 - f1(here["cloud"]), image.id))
        count += 1
    row: dict[str, object] = {"set": card.name, "model": chosen.name, "images": count}
    row |= {"pixels_m": pixel_m or "own", "CPU s": round(spent, 1)}
    for name, each in sums.items():
        if each.tp + each.fn:
            row |= {
                f"{name} P": part(each.tp, each.tp + each.fp),
                f"{name} R": part(each.tp, each.tp + each.fn),
                f"{name} F1": round(f1(each), 3),
            }
    return row | {
        "clear kept": part(kept, clear),
        "moved changes": part(changed, seen),
        "leak": masker.leak,
        "worst": max(worst, default=(0, ""))[1],
    }


def part(some: int, all_: int) -> float | None:
    return round(some / all_, 3) if all_ else None


def f1(each: Agreement) -> float:
    both = 2 * each.tp
    return both / (both + each.fn + each.fp) if both + each.fn + each.fp else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--only", default="")
    parser.add_argument(
        "--pixels-m", default="", help="pixels that the model sees; left out: the images' own"
    )
    parser.add_argument(
        "--moved", action="store_true", help="mask each image again, moved against the windows"
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    begins = tuple(each for each in given.only.split(",") if each)
    sizes = [float(each) for each in given.pixels_m.split(",") if each] or [None]
    rows = []
    for name in given.sets.split(","):
        reader = reader_of(name)
        for model, pixel_m in itertools.product(given.models, sizes):
            images = (
                each
                for each in reader.read(given.data / SETS[name])
                if each.id.startswith(begins or ("",))
            )
            try:
                rows.append(measured(model, images, reader.card, pixel_m, moved=given.moved))
            except ModelError as error:
                rows.append({"set": name, "model": model, "images": 0, "leak": str(error)})
            print(json.dumps(rows[-1]))
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
