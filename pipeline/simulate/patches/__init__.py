"""An endless stream of labelled patches: any optical sensor, sky and ground, and the true class of each pixel.

::

    make_patch(seed, index, settings) ─▶ Patch
      sensors   bands of sensors, by centre and width         spectra   surfaces, and what a band sees of them
      ground    what lies on a patch; recipes: of many kinds  clouds    what hangs over it
      fields    random fields on a small torus                render    sun, shadow, air, sensor
      unlit     heat, radar and height beside them
      truth     optical depth, light and ground ─▶ codes, and labels that say where they are in doubt
      regional  instead: the ground, clouds and sensors of a simulated archive
      real      instead: such a sky over a real image

A patch follows from its seed and index alone, so that any number of processes make the same stream in any
order. Some sensors, skies and grounds (`KEPT_BACK`) are drawn only where settings name
them: they test a network on what it has not seen in training.
"""

from pipeline.simulate.patches.patch import Patch, PatchSettings, kept_back, make_patch
from pipeline.simulate.patches.real import Ground, under_clouds
from pipeline.simulate.patches.regional import make_regional_patch
from pipeline.simulate.patches.sensors import SENSORS

__all__ = [
    "SENSORS",
    "Ground",
    "Patch",
    "PatchSettings",
    "kept_back",
    "make_patch",
    "make_regional_patch",
    "under_clouds",
]
