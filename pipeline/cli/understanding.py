"""Describes an item as a run reads it, in plain JSON values, and lists the reasons to refuse it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.errors import CloudmaskError, RadiometryError, SearchError

if TYPE_CHECKING:
    import pystac

    from pipeline.sensors import Profile


def describe(
    item: pystac.Item, *, pixels: bool = False
) -> tuple[dict[str, Any], list[CloudmaskError]]:
    """Return a description of an item in plain JSON values, and the errors for which a run would refuse it.

    Parameters
    ----------
    item
        As its catalogue recorded it.
    pixels
        Whether to read some pixels, to check for an offset of 1000.
    """
    from pipeline import sensors
    from pipeline.cube import misplaced

    refusals: list[CloudmaskError] = []
    baseline = sensors.processing_baseline(item)
    seen: dict[str, Any] = {
        "item": item.id,
        "catalogue": sensors.origin(item),
        "collection": item.collection_id,
        "datetime": item.datetime,
        "platform": item.properties.get("platform") or item.properties.get("eo:platform"),
    }
    try:
        profile = sensors.profile(item)
        seen |= {
            "sensor": profile.sensor,
            "level": profile.level,
            "correction": profile.correction,
            "native_m": profile.native_m,
            **_limits(profile),
            # Only Sentinel-2 of ESA has processing baselines.
            "processing_baseline": f"{baseline[0]:02d}.{baseline[1]:02d}"
            if baseline and sensors.asks_for_offset(item)
            else None,
            "assets": _assets(item, profile.offered(item)),
            "masks": _assets(item, profile.masks(item)),
            "not_read": list(dict.fromkeys(profile.refused(item).values())),
            "radiometry": _radiometry(item, profile, refusals),
        }
        if place := sensors.two_codes(item) or misplaced(item):
            open_end = (
                _settled_place(item) if pixels else "; --pixels reads a header, as a run does"
            )
            if open_end is None:
                seen["place"] = f"{place}; the header of a raster settles it"
            else:
                refusals.append(SearchError(f"item {item.id}: {place}{open_end}"))
        refusals += _unreadable(item, profile)
        if pixels:
            seen["pixels"] = _pixels(item)
    except RadiometryError as error:
        refusals.append(error)
    if item.datetime is None:
        refusals.append(SearchError(f"item {item.id}: it has no datetime, only a range"))
    seen["refused"] = [str(refusal) for refusal in refusals]
    return seen, refusals


def _assets(item: pystac.Item, keys: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return one row per role: its asset and its grid."""
    from pipeline import sensors

    rows = []
    for role, key in keys.items():
        asset = item.assets[key]
        fields = {**item.properties, **asset.extra_fields}
        crs = sensors.crs_of(item, key)
        shape, transform = fields.get("proj:shape"), fields.get("proj:transform")
        rows.append(
            {
                "role": role,
                "asset": key,
                "host": _host(item, key),
                "crs": None if crs is None else crs.to_string()[:40],
                "shape": _listed(shape, 2),
                "transform": _listed(transform, 6),
            }
        )
    return rows


def _limits(profile: Profile) -> dict[str, Any]:
    """Return the numbers that are no data or unfit, and the range of valid reflectances."""
    limits = profile.limits
    flags = profile.flags_of("")
    return {
        "saturated": limits.saturated[0] if limits.saturated else None,
        "believed": f"reflectances from {limits.smallest:g} to {limits.largest:g}",
        "quality_band": None if flags is None else flags.qa,
    }


def _listed(value: object, length: int) -> list[Any] | None:
    """Return the first values of a list; None if it is no list."""
    if not isinstance(value, list) or len(value) < length:
        return None
    numbers = value[:length]
    return numbers if all(isinstance(each, int | float) for each in numbers) else None


def _host(item: pystac.Item, key: str) -> str:
    """Return the host of an asset, the part of its location that has no tokens."""
    from pipeline.cube.metadata.hrefs import href_of
    from pipeline.errors import AssetError

    try:
        href = href_of(item, key)
    except AssetError:
        # It cannot be opened; the reason is among the refusals.
        href = str(item.assets[key].href)
    scheme, separator, rest = href.partition("://")
    if not separator:
        return "this machine"
    host = rest.split("/", 1)[0].rpartition("@")[2]
    return host if scheme in ("http", "https") else f"{scheme}://{host}"


def _radiometry(
    item: pystac.Item, profile: Profile, refusals: list[CloudmaskError]
) -> list[dict[str, Any]]:
    """Return one row per radiometric rule, with its roles."""
    from pipeline import sensors

    groups: dict[Any, list[str]] = {}
    for role in profile.offered(item):
        try:
            groups.setdefault(sensors.radiometry(item, role), []).append(role)
        except RadiometryError as error:
            # Thermal bands of Level 1 have no rule; the other bands may be used.
            if role not in sensors.THERMAL_ROLES:
                refusals.append(error)
                break
    if not groups and not refusals:
        no_rasters = list(dict.fromkeys(profile.refused(item).values()))
        why = no_rasters or ["it has no asset of a band that is known"]
        refusals += [RadiometryError(f"item {item.id}: {each}") for each in why]
    return [
        {
            "roles": roles,
            "scale": decided.scale,
            "offset": decided.offset,
            "nodata": decided.nodata,
            "doubtful": decided.doubtful,
            "reason": decided.reason,
        }
        for decided, roles in groups.items()
    ]


def _unreadable(item: pystac.Item, profile: Profile) -> list[CloudmaskError]:
    """Return an error for each asset in use that may not be read, or is not one band."""
    from pipeline import access
    from pipeline.cube.metadata.hrefs import href_of
    from pipeline.errors import AccessError, AssetError

    remote = access.is_remote(item.get_self_href() or "")
    offered = profile.offered(item)
    found: list[CloudmaskError] = []
    for key in sorted({*offered.values(), *profile.masks(item).values()}):
        try:
            reason = access.refused(href_of(item, key), remote=remote)
        except AssetError as error:
            found.append(error)
            continue
        if reason is not None:
            found.append(AccessError(f"item {item.id}, asset {key!r}: {reason}"))
    for role, key in offered.items():
        if profile.band(item, role) != 1:
            found.append(
                AssetError(item.id, key, "is a stack of bands: only the first is read")
            )
    return found


def _settled_place(item: pystac.Item) -> str | None:
    """Settle by a raster's header where an item lies; return the reason if that fails, or None."""
    from pipeline.cube import misplaced
    from pipeline.cube.metadata.header import located, why_not
    from pipeline.types import CubeSettings

    (answer,) = located([item], CubeSettings())
    if isinstance(answer, str | CloudmaskError):
        return f", and {answer if isinstance(answer, str) else why_not(answer)}"
    still = misplaced(answer)
    return None if still is None else f", and {still}"


def _pixels(item: pystac.Item) -> dict[str, str]:
    from pipeline import sensors
    from pipeline.cube.metadata.settle import ask

    if not sensors.asks_for_offset(item):
        return {"verdict": "not asked", "reason": "only Sentinel-2 of ESA may have an offset"}
    found = ask(item)
    return {"verdict": found.verdict, "reason": found.reason}
