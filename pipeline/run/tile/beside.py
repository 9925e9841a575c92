"""What a method weighs besides the pixels of observations: distances to clouds, the masks' confidence, view angles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline import composite, sensors
from pipeline.run.common.cellstore import CellReader
from pipeline.run.tile.around import Around
from pipeline.types import Items, Scene, Tile


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What masks tell of the pixels of scenes besides their class, as far as the method asks."""

    scenes: Sequence[Scene]
    layers: xr.Dataset
    """(time, y, x), scene by scene: distances to clouds and shadows, and confidence; empty where none is asked for."""

    @classmethod
    def read(
        cls,
        scenes: Sequence[Scene],
        method: composite.Method,
        around: Around | None,
        store: CellReader,
        tile: Tile,
    ) -> Beside:
        """Measure and read what a method asks of some scenes; `around` None: no distances."""
        layers = xr.Dataset() if around is None else around.distances(scenes)
        if "confidence" in method.needs:
            read = np.zeros((len(scenes), *tile.geobox.shape), np.uint8)
            for at, scene in enumerate(scenes):
                read[at] = store.read_confidence(scene.sensor, [scene.time], tile)[0]
            layers = layers.assign(confidence=(("time", "y", "x"), read))
        return cls(scenes=scenes, layers=layers)

    def of(self, scenes: Sequence[Scene]) -> xr.Dataset:
        """Return those of some of the scenes, in this order."""
        # As a rule all are wanted, and hundreds of megabytes need no copy.
        if list(scenes) == list(self.scenes):
            return self.layers
        chosen = [self.scenes.index(each) for each in scenes]
        return self.layers.isel(time=chosen, missing_dims="ignore")


def view_angles(source: xr.DataArray, items: Items) -> xr.Variable:
    """Return the view zenith angle of the item that each pixel is of.

    Parameters
    ----------
    source
        Positions in `items`, -1 = none; numpy or dask.
    items
        What states the angles: see `pipeline.sensors.view_zenith`.

    Returns
    -------
    Degrees, float32, as `source` lies; NaN = no item, or unknown.
    """
    stated = (sensors.view_zenith(each, sensors.profile(each).family) for each in items)
    # The last one is that of position -1.
    table = np.array(
        [*(np.nan if each is None else each for each in stated), np.nan], np.float32
    )

    def looked_up(positions: NDArray[np.int32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = table[positions]
        return found

    angles: xr.Variable = xr.apply_ufunc(
        looked_up, source.variable, dask="parallelized", output_dtypes=[np.float32]
    )
    return angles
