"""Spectral indices by the names of Awesome Spectral Indices; the only user of spyndex."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

ROLES: Mapping[str, str] = {
    "A": "coastal", "B": "blue", "G": "green", "R": "red", "RE1": "rededge1", "RE2": "rededge2",
    "RE3": "rededge3", "N": "nir", "N2": "nir08", "WV": "nir09", "S1": "swir16", "S2": "swir22",
    "T": "lwir11", "T1": "lwir11", "T2": "lwir12",
}  # fmt: skip
"""Band of Awesome Spectral Indices -> role."""


def require(name: str, constants: Mapping[str, float]) -> None:
    """Refuse what is no index, or cannot be computed from bands and constants.

    Raises
    ------
    ValueError
        It is not known, needs something else, or has no such constant.
    """
    known = _spyndex().indices
    if name not in known:
        raise ValueError(
            f"there is no spectral index {name!r}: its name must be one of Awesome Spectral Indices, "
            "e.g. NDVI, EVI2, NDMI, NBR"
        )
    symbols = set(known[name].bands)
    if unknown := sorted(set(constants) - symbols):
        raise ValueError(f"index {name} has no constant {', '.join(unknown)}")
    if beyond := sorted(symbols - ROLES.keys() - _defaults(name).keys() - set(constants)):
        raise ValueError(
            f"index {name} needs {', '.join(beyond)}, which are no bands: give them as constants"
        )


def roles(name: str) -> tuple[str, ...]:
    """Return the roles that an index is computed from."""
    return tuple(ROLES[each] for each in _spyndex().indices[name].bands if each in ROLES)


def compute(
    name: str,
    band: Callable[[str], NDArray[np.floating[Any]]],
    constants: Mapping[str, float],
) -> NDArray[np.float64]:
    """Return an index of bands, which are asked for by their roles and have one shape, numpy's or torch's."""
    found = {
        symbol: band(ROLES[symbol])
        for symbol in _spyndex().indices[name].bands
        if symbol in ROLES
    }
    xp = array_namespace(*found.values())
    bands = {symbol: xp.astype(each, xp.float64) for symbol, each in found.items()}
    with np.errstate(divide="ignore", invalid="ignore"):
        value = _spyndex().computeIndex(name, params={**_defaults(name), **constants, **bands})
    index: NDArray[np.float64] = xp.asarray(value, dtype=xp.float64)
    return index


def _defaults(name: str) -> dict[str, float]:
    """Return the constants of an index that have a usual value."""
    known = _spyndex().constants
    return {
        each: float(known[each].default)
        for each in _spyndex().indices[name].bands
        if each in known and known[each].default is not None
    }


def _spyndex() -> Any:  # noqa: ANN401
    # It reads its tables on import: only whoever asks for an index pays for it.
    import spyndex  # noqa: PLC0415

    return spyndex
