"""A model, or existing masks, against a labelled data set."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dask
import numpy as np
import rasterio
import rasterio.errors
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from pipeline.datasets.labels import DatasetCard, Labelled, malformed
from pipeline.errors import ConfigError, LabelledDataError
from pipeline.evaluate.leaks import leak
from pipeline.evaluate.schemes import SCHEMES, Scheme
from pipeline.evaluate.scoring import BUFFERS_PX, ImageScore, score
from pipeline.mask import mask_cube, read_geobox
from pipeline.mask.postprocess.clean import clean
from pipeline.types import CleanGroup, CleanSettings, Code, Model, ModelCard

Predict = Callable[[Labelled], NDArray[np.uint8]]
"""Image -> codes of `Code`, of the labels' shape."""

# Any metric CRS does: windows are counted in pixels from its origin.
_CRS = "EPSG:32631"


@dataclass(frozen=True, slots=True, kw_only=True)
class Masker:
    """What makes masks."""

    name: str
    """Name of the model, and how its masks are cleaned."""
    classes: tuple[Code, ...]
    """Classes that its masks can have."""
    leak: str
    """Whether it was trained on the data set, as text for every table."""
    predict: Predict
    remarks: tuple[str, ...] = ()
    """Notes for the reader of the numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An image to be shown with its label and mask."""

    labelled: Labelled
    codes: NDArray[np.uint8]
    score: ImageScore


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """All images of a data set against one source of masks."""

    dataset: DatasetCard
    masker: str
    """What made the masks."""
    leak: str
    schemes: tuple[Scheme, ...]
    """Classes that both the labels and the model distinguish."""
    images: tuple[ImageScore, ...]
    worst: tuple[Example, ...]
    """Images with the most wrong pixels of the first scheme, worst first; of those with pixels."""
    remarks: tuple[str, ...]
    """Notes for the reader of the numbers."""


def evaluate_labelled(
    images: Iterable[Labelled],
    masker: Masker,
    dataset: DatasetCard,
    *,
    buffers_px: Sequence[int] = BUFFERS_PX,
    n_worst: int = 6,
) -> Evaluation:
    """Score masks of labelled images, one image in memory at a time (and the worst).

    Parameters
    ----------
    images
        As a reader gives them.
    masker
        Makes the masks; see `by_model` and `by_masks`.
    dataset
        The data set's card.
    buffers_px
        Borders that are left out; 0 is always among them.
    n_worst
        How many images the page shows.

    Raises
    ------
    LabelledDataError
        A file is not what it should be, or there are no images.
    ConfigError
        The masks and the labels distinguish no classes in common.
    """
    schemes = tuple(s for s in SCHEMES if s.decidable(dataset.known, masker.classes))
    if not schemes:
        raise ConfigError(
            f"{masker.name} and the labels of {dataset.name} have no classes to compare in common"
        )
    scores: list[ImageScore] = []
    worst: list[tuple[float, int, Example]] = []
    for labelled in images:
        codes = masker.predict(labelled)
        scores.append(score(labelled, codes, schemes, buffers_px))
        if labelled.pixels is not None:
            example = Example(labelled=labelled, codes=codes, score=scores[-1])
            # Positions break ties: examples have no order.
            heapq.heappush(worst, (_wrong(scores[-1], schemes[0]), -len(scores), example))
            while len(worst) > n_worst:
                heapq.heappop(worst)
    if not scores:
        raise LabelledDataError(f"data set {dataset.name}: there are no labelled images")
    return Evaluation(
        dataset=dataset,
        masker=masker.name,
        leak=masker.leak,
        schemes=schemes,
        images=tuple(scores),
        worst=tuple(each for *_, each in sorted(worst, key=lambda w: w[:2], reverse=True)),
        remarks=(*dataset.notes, *masker.remarks),
    )


def _wrong(one: ImageScore, scheme: Scheme) -> float:
    """Return the share of counted pixels that disagree."""
    matrix = one.counts[scheme.name, 0].matrix
    total = int(matrix.sum())
    return 1 - int(np.trace(matrix)) / total if total else 0.0


# -- what makes masks --------------------------------------------------------------------------


def by_model(
    model: Model,
    dataset: DatasetCard,
    cleaning: Mapping[CleanGroup, CleanSettings] | None = None,
) -> Masker:
    """Return a masker that runs a model through the same engine as a run.

    Each image has its own grid, with its upper left at the origin and no data around it.

    Parameters
    ----------
    model
        A loaded model.
    dataset
        The data set; the result says whether the model was trained on it.
    cleaning
        How its masks are cleaned, as in `pipeline.mask.postprocess.clean.clean`.
    """

    def predict(labelled: Labelled) -> NDArray[np.uint8]:
        codes = _masked(labelled, model)
        return clean(codes, cleaning, labelled.resolution_m) if cleaning else codes

    return Masker(
        name=model.card.name + _words(cleaning or {}),
        classes=model.card.classes,
        leak=leak(model.card, dataset.name),
        predict=predict,
        remarks=_remarks(model.card, dataset),
    )


def _remarks(card: ModelCard, dataset: DatasetCard) -> tuple[str, ...]:
    finest, coarsest = card.resolution_m
    if finest <= dataset.resolution_m <= coarsest:
        return ()
    return (
        f"{card.name} is meant for pixels of {finest:g} to {coarsest:g} m, these are of "
        f"{dataset.resolution_m:g} m",
    )


def _words(cleaning: Mapping[CleanGroup, CleanSettings]) -> str:
    """Describe how masks are cleaned: ``, cloud dilate_m 60``."""
    steps = [
        f", {group} {name} {value:g}"
        for group, settings in cleaning.items()
        for name, value in settings
        if value
    ]
    return "".join(steps)


def _masked(labelled: Labelled, model: Model) -> NDArray[np.uint8]:
    card = model.card
    lacking = [role for role in card.roles if role not in labelled.roles]
    if labelled.pixels is None or lacking:
        raise ConfigError(
            f"image {labelled.id} has no {', '.join(lacking) or 'pixels'}, which model {card.name} "
            "needs: choose another model, or give masks that are already made"
        )
    step = labelled.resolution_m
    transform = Affine(step, 0, 0, 0, -step, 0)
    geobox = GeoBox(labelled.pixels.shape[1:], transform, _CRS)
    cube = _cube(labelled, card.roles, geobox, read_geobox(card.lattice, geobox))
    (codes,) = dask.compute(mask_cube(cube, model, geobox))
    found: NDArray[np.uint8] = codes[0]
    return found


def _cube(labelled: Labelled, roles: Sequence[str], geobox: GeoBox, read: GeoBox) -> xr.Dataset:
    """Return the image as a cube of one time, with NaN round it."""
    assert labelled.pixels is not None
    step = labelled.resolution_m
    top, left = round(read.affine.f / step), round(-read.affine.c / step)
    rows, cols = geobox.shape
    variables = {}
    for role in roles:
        values = np.full((1, *read.shape), np.nan, np.float32)
        values[0, top : top + rows, left : left + cols] = labelled.pixels[
            labelled.roles.index(role)
        ]
        variables[role] = (("time", "y", "x"), values)
    dataset = xr.Dataset(variables, coords=dict(xr_coords(read))).chunk()
    for array in dataset.data_vars.values():
        array.attrs["grid_mapping"] = "spatial_ref"
    return dataset


def by_masks(folder: Path) -> Masker:
    """Return a masker that reads existing masks: ``<folder>/<id>.tif`` of codes of `Code`.

    Masks of points are whole scenes. Others are of the labels' shape, or whole scenes that their
    georeference places: labels are compared at their own pixels, masks by the nearest.
    """

    def predict(labelled: Labelled) -> NDArray[np.uint8]:
        file = folder / f"{labelled.id}.tif"
        if not file.is_file():
            raise malformed(file, "there is no such file", f"the mask of image {labelled.id}")
        try:
            with rasterio.open(file) as raster:
                codes, geobox = raster.read(1), _geobox(raster)
        except rasterio.errors.RasterioError as error:
            raise malformed(file, f"it cannot be read ({error})", "a raster of codes") from None
        if codes.dtype != np.uint8 or codes.max(initial=0) > max(Code):
            raise malformed(file, "it holds other numbers", f"uint8 codes 0 to {max(Code):d}")
        return _on_labels(file, labelled, codes, geobox)

    return Masker(
        name=f"masks in {folder.name}",
        classes=tuple(Code),
        leak="leak: not known what made these masks",
        predict=predict,
    )


def _geobox(raster: rasterio.DatasetReader) -> GeoBox | None:
    return None if raster.crs is None else GeoBox.from_rio(raster)


def _on_labels(
    file: Path, labelled: Labelled, codes: NDArray[np.uint8], geobox: GeoBox | None
) -> NDArray[np.uint8]:
    if labelled.points is not None:
        y, x = labelled.points[:, 0], labelled.points[:, 1]
        if (labelled.points >= codes.shape).any():
            raise malformed(
                file, f"it is {codes.shape}", f"at least {labelled.points.max(axis=0) + 1}"
            )
        found: NDArray[np.uint8] = codes[y, x]
        return found
    if codes.shape == labelled.labels.shape:
        return codes
    if geobox is None or labelled.geobox is None or geobox.crs != labelled.geobox.crs:
        raise malformed(file, f"it is {codes.shape}", f"{labelled.labels.shape} as the labels")
    return _nearest(codes, geobox, labelled.geobox)


def _nearest(codes: NDArray[np.uint8], there: GeoBox, wanted: GeoBox) -> NDArray[np.uint8]:
    """Return the code under each pixel's centre; no data outside."""
    to_there = ~there.affine @ wanted.affine
    rows = np.floor(to_there.e * (np.arange(wanted.shape.y) + 0.5) + to_there.f).astype(int)
    cols = np.floor(to_there.a * (np.arange(wanted.shape.x) + 0.5) + to_there.c).astype(int)
    ys = np.flatnonzero((rows >= 0) & (rows < codes.shape[0]))
    xs = np.flatnonzero((cols >= 0) & (cols < codes.shape[1]))
    out = np.full(tuple(wanted.shape), Code.NO_DATA, np.uint8)
    out[np.ix_(ys, xs)] = codes[np.ix_(rows[ys], cols[xs])]
    return out
