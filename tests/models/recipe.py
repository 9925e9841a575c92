"""Weights and windows by formulas, the same wherever and by whatever version of numpy they are made."""

import hashlib

import numpy as np


def uniform(name, shape, low, high):
    """Values between two others; a generator's raw numbers never change, its distributions may."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    whole = np.random.PCG64(seed).random_raw(int(np.prod(shape, dtype=np.int64)))
    share = (whole >> np.uint64(40)).astype(np.float64) / 2**24
    return (low + share * (high - low)).astype(np.float32).reshape(shape)


def weight(name, shape):
    """The weights that a network has by a name: norms that do something, features that stay of one size."""
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if len(shape) > 1:
        fan_in = int(np.prod(shape[1:]))
        # A uniform distribution's variance is a third of its limit squared.
        limit = (1.4 * 3 / fan_in) ** 0.5
        return uniform(name, shape, -limit, limit)
    if name.endswith(("running_var", ".weight")):
        return uniform(name, shape, 0.7, 1.3)
    return uniform(name, shape, -0.3, 0.3)


def state(layout):
    """Weights by name, for shapes by name."""
    return {name: weight(name, shape) for name, shape in layout.items()}


def window(height, width):
    """Three bands with large and small forms, an edge of no data, and gaps in one band."""
    large = np.stack(
        [uniform(f"large {band}", (height // 16 + 1, width // 16 + 1), 0, 1) for band in "123"]
    )
    whole = np.kron(large, np.ones((16, 16)))[:, :height, :width]
    data = (whole + uniform("small", (3, height, width), -0.1, 0.1)).astype(np.float32)
    data[:, :, :9] = np.nan
    data[1, 20:30, 15:25] = np.nan
    return data


WINDOWS = {"even": ((64, 96), 2), "odd": ((75, 110), 3)}
"""Height and width of windows, and of how many pixels along an axis one is kept."""
