"""The light that clouds leave for the ground, and how the sun models their flanks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.simulate.clouds import CloudLayer
from pipeline.simulate.physics.noise import Floats, blur
from pipeline.simulate.physics.optics import asymmetry, two_stream
from pipeline.simulate.physics.sun import Sun

SUN_WIDTH = 0.0093
"""The sun's disc in radians: the shadow of an edge is as blurred as the cloud is high."""

SPREAD_CAP_M = 4000.0
"""Above this height diffuse light would be spread wider than the landscape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Daylight:
    """What reaches the ground under clouds, relative to a clear sky; visible and near infrared."""

    beam: Floats
    """(Y, X) sunlight through and between the clouds, 1 = full."""
    sky: Floats
    """(Y, X) reflectance of the clouds overhead, as the ground sees them."""


def light(daylight: Daylight, diffuse: float, albedo: float) -> Floats:
    """Return the light on the ground in one band, 1 = that of a clear sky.

    Parameters
    ----------
    daylight
        What the clouds leave.
    diffuse
        Share of clear-sky light that is sky light.
    albedo
        Mean reflectance of the landscape. Its mean, not the pixel's: light between ground and cloud
        comes from all around, and a local value would create energy over bright pixels.
    """
    direct = (1 - diffuse) * (daylight.beam + 0.10 * daylight.sky)
    scattered = diffuse * (1 - 0.4 * daylight.sky)
    return np.asarray((direct + scattered) / (1 - albedo * daylight.sky), dtype=np.float32)


def daylight_under(layers: Sequence[CloudLayer], sun: Sun, pixel_m: float) -> Daylight | None:
    """Return what layers of cloud leave of the daylight; none under a cloudless sky."""
    parts = [_under(layer, sun, pixel_m) for layer in layers]
    if not parts:
        return None
    beam, open_sky = parts[0].beam, 1 - parts[0].sky
    for part in parts[1:]:
        beam = beam * part.beam
        open_sky = open_sky * (1 - part.sky)
    return Daylight(beam=beam, sky=1 - open_sky)


def flank_shading(layer: CloudLayer, sun: Sun, pixel_m: float) -> Floats | None:
    """Return how much brighter flanks towards the sun are, and darker away from it; none: flat top."""
    if layer.depth_m.strides == (0, 0):
        return None
    top = layer.depth_m
    northward = (np.roll(top, 1, axis=0) - np.roll(top, -1, axis=0)) / (2 * pixel_m)
    eastward = (np.roll(top, -1, axis=1) - np.roll(top, 1, axis=1)) / (2 * pixel_m)
    slope = eastward * math.sin(sun.azimuth) + northward * math.cos(sun.azimuth)
    return np.clip(1 - 0.55 * sun.tangent * slope, 0.72, 1.18).astype(np.float32)


def slant_depth(layer: CloudLayer, sun: Sun, pixel_m: float) -> Floats:
    """Return the optical depth between each ground pixel and the sun, counted vertically.

    The layer is cut into slices by height; each is moved away from the sun by its own distance, so
    that towers throw longer shadows than the edges of the same cloud.
    """
    if layer.depth_m.strides == (0, 0):
        middle = layer.base_m + float(layer.depth_m[0, 0]) / 2
        return _cast(layer.tau, middle, sun, pixel_m)
    highest = max(float(layer.depth_m.max()), 1.0)
    slices = int(np.clip(math.ceil(highest * sun.tangent / (4 * pixel_m)), 4, 14))
    thickness = highest / slices
    # Where tau is not zero there is always some depth; the floor only guards the division.
    density = layer.tau / np.maximum(layer.depth_m, 1.0)
    total = np.zeros_like(layer.tau)
    for index in range(slices):
        bottom = index * thickness
        filled = np.clip(layer.depth_m - bottom, 0, thickness)
        total += _cast(density * filled, layer.base_m + bottom + thickness / 2, sun, pixel_m)
    return total


def _cast(field: Floats, height_m: float, sun: Sun, pixel_m: float) -> Floats:
    """Move a field on the torus to where its shadow falls."""
    distance = height_m * sun.tangent / pixel_m
    dy = round(distance * math.cos(sun.azimuth))
    dx = round(-distance * math.sin(sun.azimuth))
    return np.roll(field, (dy, dx), axis=(0, 1))


def _under(layer: CloudLayer, sun: Sun, pixel_m: float) -> Daylight:
    base_px = min(layer.base_m, SPREAD_CAP_M) / pixel_m
    tau = blur(slant_depth(layer, sun, pixel_m), base_px * SUN_WIDTH / (2.4 * sun.mu))
    tau = np.maximum(tau, 0)
    through = two_stream(tau, "vnir", ice=layer.ice)[1]
    forward = 1 - asymmetry(ice=layer.ice) ** 2
    straight = np.minimum(np.exp(-forward * tau / sun.mu), through)
    overhead = two_stream(layer.tau, "vnir", ice=layer.ice)[0]
    # What a cloud scatters down lands around the shadow, not in it: cores stay dark and crisp.
    return Daylight(
        beam=straight + np.maximum(blur(through - straight, 0.25 * base_px), 0),
        sky=np.clip(blur(overhead, 0.6 * base_px), 0, 0.95),
    )
