"""Whether the shadows of a scene can be those of its clouds, by how much there is of both.

A cloud throws about as much shadow as it is large, and under a low sun, where its height counts too, some times as
much. Of 300 simulated scenes, sun 18° to 78° high, one had more than `MOST_PER_CLOUD` pixels of true shadow for a
pixel of cloud beyond `ALLOWED` of all pixels. Networks that call dark ground shadow exceed it: in haze without a
cloud, or in November's long shadows of hills.
"""

from __future__ import annotations

MOST_PER_CLOUD = 3.0
"""Pixels of shadow that a pixel of cloud may throw."""
ALLOWED = 0.03
"""Share of a scene that may be in shadow of clouds outside of it."""


def too_much_shadow(data: int, cloud: int, shadow: int) -> bool:
    """Return whether a scene has more shadow than its clouds can throw.

    Parameters
    ----------
    data, cloud, shadow
        Pixels of the scene with data, and those of them that are cloud and cloud shadow.
    """
    return shadow > MOST_PER_CLOUD * cloud + ALLOWED * data
