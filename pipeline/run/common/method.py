"""The method that a job composes with, and what a run can give it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pystac
import xarray as xr

from pipeline import composite
from pipeline.errors import ConfigError
from pipeline.sensors import PROFILES, Adjust, profile
from pipeline.types import CompositeSettings, MaskSettings, Period, Scene
from pipeline.types.roles import REFLECTANCE_ROLES

DAY_S = 86_400.0

GIVEN = ("day", "sensor", "middle", "confidence", "view_deg", *composite.DISTANCES)
"""What a run knows of each observation."""

LACKING: Mapping[str, str] = {
    "reference": "a reference of the season",
}
"""The rest of what a method may need, in words."""


def method_of(settings: CompositeSettings) -> composite.Method:
    """Make the method of a job.

    Raises
    ------
    ConfigError
        There is no such method or option, the composite lacks a band that it needs, or it needs what a
        run does not compute.
    """
    try:
        made = composite.method(settings.method, settings.options)
    except ValueError as error:
        raise ConfigError(f"composite.method: {error}") from error
    missing = [role for role in made.wants if role not in settings.bands]
    if missing:
        raise ConfigError(
            f"composite.method {settings.method} needs the bands {', '.join(missing)}: add them to "
            f"composite.bands, which has {', '.join(settings.bands)}"
        )
    lacking = [LACKING.get(name, name) for name in made.needs if name not in GIVEN]
    if lacking:
        raise ConfigError(
            f"composite.method {settings.method}, with these options, needs {' and '.join(lacking)}, "
            "which runs do not have: set options that need none, or take another method"
        )
    if not reach_m_of(made) and any(name in composite.DISTANCES for name in made.needs):
        raise ConfigError(
            f"composite.method {settings.method} of another package needs distances to clouds and does not "
            "say how far it looks: give it the attribute reach_m, metres"
        )
    if settings.period == "all" and "middle" in made.needs:
        raise ConfigError(
            f"composite.method {settings.method} looks for the middle of the period, and period all "
            "has none: set composite.options.target_doy, or another composite.period"
        )
    if settings.device == "cuda" and not composite.on_device(made):
        raise ConfigError(
            f"composite.method {settings.method} of another package does not say that it can compose on a "
            "device: set composite.device to 'auto' or 'cpu'"
        )
    _require_screened(settings)
    _require_own_names(settings, made)
    _require_known(settings.sensors)
    return made


def _require_known(names: Sequence[str]) -> None:
    known = sorted({each.sensor for each in PROFILES.values()})
    if strange := [name for name in names if name not in known]:
        raise ConfigError(
            f"composite.sensors: found {', '.join(strange)}, expected {' | '.join(known)}"
        )


_TAKEN = (
    "count",
    "day",
    "source",
    "time",
    "time_bnds",
    "y",
    "x",
    "spatial_ref",
    *composite.SUSPECT,
)
"""Names of a composite's own arrays."""


def _require_own_names(settings: CompositeSettings, made: composite.Method) -> None:
    if taken := [each for each in made.layers if each in (*_TAKEN, *REFLECTANCE_ROLES)]:
        raise ConfigError(
            f"composite.method {settings.method} gives layers with names that a band or an array of every "
            f"composite has: {', '.join(taken)}. Rename them in its package, or take another method"
        )


def _require_screened(settings: CompositeSettings) -> None:
    missing = [role for role in composite.EVIDENCE if role not in settings.bands]
    if settings.screen and missing:
        raise ConfigError(
            f"composite.screen looks at {', '.join(composite.EVIDENCE)}: add {', '.join(missing)} to "
            "composite.bands, or leave composite.screen out"
        )


def layers_of(settings: CompositeSettings) -> Mapping[str, str]:
    """Return name -> description of what a composite has besides bands, count, day and source."""
    screened = composite.SUSPECT if settings.screen else {}
    return {**method_of(settings).layers, **screened}


def reach_m_of(method: composite.Method) -> float:
    """Return how far from a pixel clouds and shadows count for a method, in metres; 0: nowhere."""
    return float(getattr(method, "reach_m", 0.0))


def reach_of(settings: CompositeSettings) -> float:
    """Return the same for a composite."""
    return reach_m_of(method_of(settings))


def require_confidence(settings: CompositeSettings, mask: MaskSettings) -> None:
    """Make sure that masks have the confidence that a composite weighs.

    Raises
    ------
    ConfigError
        The job's masks are made without.
    """
    if "confidence" in method_of(settings).needs and not mask.confidence:
        raise ConfigError(
            f"composite.method {settings.method}, with these options, weighs the confidence of masks, which this "
            "job does not keep: set mask.confidence: true, or leave confidence out of composite.options.weights"
        )


def adjust_of(settings: CompositeSettings | None) -> Adjust:
    """Return how reflectance is adjusted before it is composed; without a composite, not at all."""
    if settings is None:
        return Adjust()
    return Adjust(harmonize=settings.harmonize, brdf=settings.brdf)


def takes(settings: CompositeSettings | None, sensor: str) -> bool:
    """Return whether a composite is made of a sensor's scenes."""
    return settings is not None and (not settings.sensors or sensor in settings.sensors)


def bands_read(settings: CompositeSettings | None, item: pystac.Item) -> list[str]:
    """Return the roles of an item whose bands are read for a composite; of a sensor that it does not take, none."""
    if settings is None or not takes(settings, profile(item).sensor):
        return []
    return [adjust_of(settings).reads(item, role) for role in settings.bands]


def lacking(settings: CompositeSettings | None, item: pystac.Item) -> str | None:
    """Return why an item cannot be adjusted as a composite wants; None: it can, or it is not composed."""
    taken = takes(settings, profile(item).sensor)
    return adjust_of(settings).lacking(item) if taken else None


def window_of(period: Period, settings: CompositeSettings) -> Period:
    """Return the span of time whose scenes are read for a composite: the period, or more to screen it."""
    return composite.history_window(period, settings.screen) if settings.screen else period


def roles_held(settings: CompositeSettings) -> int:
    """Return as how many bands of float32 what is read of a scene counts in memory, at most."""
    # Codes of a second opinion, their items, and what they say.
    second = settings.screen is not None and settings.screen.second_opinion is not None
    return len(settings.bands) + (3 if second else 0)


def scenes_held(settings: CompositeSettings, n_scenes: int) -> int:
    """Return how many scenes' arrays are held to compose a period of so many, at most."""
    # Those of which a part is composed, and the rest screens it, stand twice.
    twice = settings.max_observations is not None and settings.screen is not None
    return 2 * n_scenes if twice else n_scenes


def evidence_of(
    method: composite.Method,
    period: Period,
    scenes: Sequence[Scene],
    beside: xr.Dataset,
) -> xr.Dataset:
    """Return what a method needs of scenes beside their pixels; see `pipeline.composite.compose`.

    `beside` is what it needs of each pixel of these scenes: see `pipeline.run.tile.beside`.
    """
    middle = period.start.timestamp() + (period.end - period.start).total_seconds() / 2
    known = {
        "sensor": ("time", [scene.sensor for scene in scenes]),
        "middle": ((), middle / DAY_S),
    }
    found = xr.Dataset({name: each for name, each in known.items() if name in method.needs})
    return found.assign(beside)
