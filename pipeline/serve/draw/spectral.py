"""Spectral indices of a composite by name: those of Awesome Spectral Indices that its bands allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.composite import indices
from pipeline.serve.problems import Refused


@lru_cache(maxsize=256)
def name_of(text: str) -> str | None:
    """Return the name of an index, which may be given in small letters; none: there is none, or it needs more than bands."""
    for name in (text, text.upper()):
        with suppress(ValueError):
            indices.require(name, {})
            return name
    return None


def bands_of(index: str, roles: Sequence[str]) -> dict[str, str]:
    """Return the roles that an index is computed from, each with the band of a composite that has it."""
    found = {role: _stored(role, roles) for role in indices.roles(index)}
    if missing := sorted(role for role, band in found.items() if band not in roles):
        raise Refused(
            422,
            f"bands: {index} needs {', '.join(missing)}, the composite has {', '.join(roles)}",
        )
    return found


def _stored(role: str, roles: Sequence[str]) -> str:
    # Sensors have one near infrared or the other, and it is the same to an index.
    other = {"nir": "nir08", "nir08": "nir"}.get(role, role)
    return role if role in roles else other


def compute(index: str, bands: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return an index (y, x) of reflectance by role; NaN where it has no value."""
    found = indices.compute(index, bands.__getitem__, {})
    return np.where(np.isfinite(found), found, np.nan).astype(np.float32)
