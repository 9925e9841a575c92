"""Types of the tables: roles, the profile of a collection, how numbers become reflectance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.errors import RadiometryError
from pipeline.sensors.formats import no_raster, refusal
from pipeline.types.roles import THERMAL_ROLES
from pipeline.wording import counted

if TYPE_CHECKING:
    import pystac


@dataclass(frozen=True, slots=True, kw_only=True)
class Radiometry:
    """How the numbers of one item become reflectance (or kelvin): DN · scale + offset."""

    scale: float
    offset: float
    nodata: int
    """The DN that means no data; it stays no data through scaling."""
    reason: str
    """Which rule applied, and which property of the item decided it."""
    doubtful: bool = False
    """The item's metadata cannot be trusted: they contradict each other, or are known to be wrong at times.
    The pixels should decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Range of values that a product can have measured: reflectances, or kelvin of thermal roles.

    A number beyond it is no measurement. What is merely too bright (a saturated detector, glint, a cloud under
    a low sun) and what cannot be at all (a number that wrapped when it was shifted in 16 bits) are distinguished: a
    model sees the first as the largest value, and the second as no data.
    """

    smallest: float = -0.2
    """USGS stores nothing below (LSDS-1619, table 6-1: number 1); what others store reaches down to −0.1
    where 1000 are added. Below it a signed number wrapped, or fill was shifted."""
    largest: float = 2.0
    """Clouds and snow, with what the correction of the atmosphere adds to them, stay below it; on the real
    scenes of the tests they reach 1.9."""
    possible: float = 3.2767
    """What a signed number of 16 bits holds. Beyond it nothing was bright: numbers that wrapped when 1000
    were taken away (64536 … 65535) lie from 6.35 on."""
    saturated: tuple[int, ...] = ()
    """Numbers that mean saturated, whatever their value."""


KELVIN = Limits(smallest=100.0, largest=400.0, possible=480.0)
"""Temperatures: USGS stores 149 … 373 K (LSDS-1619, table 6-1), and HLS −100 … 150 °C at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """Values of a quality band that mark a band's numbers as no reflectance, by kind of `UNFIT`."""

    qa: str
    """Kind of mask, a key of `Profile.qa`."""
    values: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Kind -> class codes, where the quality band has classes."""
    bits: Mapping[str, int] = field(default_factory=dict)
    """Kind -> bit mask, where the quality band has bits; any bit that is set marks the number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a collection holds."""

    sensor: str
    """Items of one sensor share a model and a group of the store; a scene has one sensor."""
    family: str
    """Which platforms fly its instrument, ``sentinel-2`` or ``landsat``: HLS has both."""
    level: str
    """``L1C`` (top of atmosphere), ``L2A`` (surface) or ``ST`` (surface temperature alone)."""
    assets: Mapping[str, tuple[str, ...]]
    """Role -> asset keys in order of preference. Two roles may share an asset: the narrow near
    infrared of Landsat serves as ``nir`` too."""
    rule: str
    """Row of `RULES`."""
    native_m: float
    """Finest native pixel."""
    correction: str
    """Whose reflectances they are: ``esa``, ``usgs``, ``hls`` or ``nbart``. At the surface those of
    one sensor differ between corrections (view angle, terrain, atmosphere), so that a job takes one."""
    role_m: Mapping[str, float] = field(default_factory=dict)
    """Native pixel of each role, in metres, where they differ."""
    limits: Limits = field(default_factory=Limits)
    """Valid range of reflectances."""
    flags: Mapping[str, Flags] = field(default_factory=dict)
    """Role -> what a quality band means for its numbers; ``""`` stands for every role not named."""
    corner_m: float = 0.0
    """Offset of pixel corners from the multiples of the pixel size, counted from the origin of the CRS."""
    qa: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Kind of mask, a name in `pipeline.sensors.qa`, -> asset keys in order of preference."""

    def offered(self, item: pystac.Item) -> dict[str, str]:
        """Return role -> asset key for the roles that an item has, as rasters."""
        return _first_present(self.assets, item)

    def resolution_m(self, role: str) -> float:
        """Return the native pixel of a role, in metres: bands are finest where this is `native_m`.

        Thermal bands of Landsat and HLS come resampled to 30 m, which is what is returned.
        """
        return self.role_m.get(role, self.native_m)

    def limits_of(self, role: str) -> Limits:
        """Return the valid range of a role."""
        return KELVIN if role in THERMAL_ROLES else self.limits

    def flags_of(self, role: str) -> Flags | None:
        """Return what a quality band means for a role's numbers; none: there is none."""
        return self.flags.get(role, self.flags.get(""))

    def masks(self, item: pystac.Item) -> dict[str, str]:
        """Return kind of mask -> asset key for the masks that an item has, as rasters."""
        return _first_present(self.qa, item)

    def refused(self, item: pystac.Item) -> dict[str, str]:
        """Return role or kind of mask -> why it is not read, where an item's asset for it is no raster."""
        found = {}
        spelled = {key.casefold(): key for key in item.assets}
        for name, keys in {**self.assets, **self.qa}.items():
            present = _present(keys, item, spelled)
            kinds = [(key, no_raster(item.assets[key])) for key in present]
            if kinds and all(what is not None for _, what in kinds):
                found[name] = refusal(kinds[0][0], str(kinds[0][1]))
        return found

    def band(self, item: pystac.Item, role: str) -> int:
        """Return which band of its asset a role is, counted from 1.

        Raises
        ------
        RadiometryError
            The asset holds several bands, and none is declared to be the role's.
        """
        return self.band_in(item, self.offered(item)[role], role)

    def band_in(self, item: pystac.Item, key: str, role: str) -> int:
        """Do as `band`, where the role's asset is known."""
        described = list(described_bands(item.assets[key]))
        if len(described) < 2:
            return 1
        wanted = {role, *self.assets[role]}
        for position, band in enumerate(described, start=1):
            names = (band.get(name) for name in ("name", "common_name", "eo:common_name"))
            if any(isinstance(name, str) and name in wanted for name in names):
                return position
        raise RadiometryError(
            f"item {item.id}: the asset of {role} holds {counted(len(described), 'band')}, none is called "
            f"{' or '.join(sorted(wanted))}"
        )


def described_bands(asset: pystac.Asset) -> Iterator[Mapping[str, Any]]:
    """Yield the descriptions of an asset's bands: ``bands`` of STAC 1.1, ``eo:bands`` before."""
    for name in ("bands", "eo:bands"):
        listed = asset.extra_fields.get(name)
        # LandsatLook's STAC 0.7 lists positions in the item's own list instead.
        positions = listed if isinstance(listed, list) else []
        found = [band for band in positions if isinstance(band, Mapping)]
        if found:
            yield from found
            return


def _first_present(wanted: Mapping[str, tuple[str, ...]], item: pystac.Item) -> dict[str, str]:
    found = {}
    # Some catalogues write `b02` or `Scl`.
    spelled = {key.casefold(): key for key in item.assets}
    for name, keys in wanted.items():
        for key in _present(keys, item, spelled):
            if no_raster(item.assets[key]) is None:
                found[name] = key
                break
    return found


def _present(
    keys: tuple[str, ...], item: pystac.Item, spelled: Mapping[str, str]
) -> Iterator[str]:
    """Yield those of some keys that an item has, in their order; `spelled` has its keys in small letters -> as it writes them."""
    exact = [key for key in keys if key in item.assets]
    yield from exact
    if not exact:
        yield from (spelled[key] for key in map(str.casefold, keys) if key in spelled)
