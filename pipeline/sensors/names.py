"""What the names of products mean, by the conventions that their makers publish.

Catalogues leave properties out; a product's name travels with it, as an id, a title or a property.

::

    Sentinel-2   S2A_MSIL2A_20200302T102021_N0500_R065_T32TMT_20230618T173704   ESA, "Sentinel-2 Products
                 S2A_OPER_MSI_L2A_DS_S2RP_20230618T173704_S20200302T102554_N05.00   Specification Document"
                 S2A_T32TMT_20200302T102554_L2A, S2A_32TMT_20200302_1_L2A      Earth Search, v1 and v0
    Landsat      LC08_L2SP_044034_20211116_20211125_02_T1                      USGS, LSDS-1619, 1651
                 LC80440342021320LGN00                                         the scene, whatever its processing
    HLS          HLS.S30.T19LDD.2022166T144741.v2.0                            HLS Product User Guide v2.0
    DEA          ga_s2am_ard_3-2-1_49JFM_2016-12-14_final                      title of a dataset
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import pystac

T = TypeVar("T")
Version = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The parts of a name; what is missing in it is empty or none."""

    platform: str = ""
    """``sentinel-2a``, ``landsat-8``."""
    tile: str = ""
    """MGRS tile ``32TMT``, or WRS path and row ``044034``."""
    orbit: str = ""
    """Of Sentinel-2: relative orbit, ``R65``; of Landsat: path, ``P44``; of HLS S30: start of its
    datatake, ``D20220615T144741``."""
    taken: date | None = None
    """UTC day of the acquisition."""
    sensed: datetime | None = None
    """Of Sentinel-2: when its datastrip begins; of HLS: the time in its name."""
    made: datetime | None = None
    """When it was processed."""
    version: Version = ()
    """Of the processor: ``N0500`` of Sentinel-2, ``v2.0`` of HLS."""
    sequence: int = 0
    """Number of the processing: 01 of ``LGN01`` of Landsat, Earth Search's."""
    maturity: str = ""
    """Of Digital Earth Australia: ``nrt``, ``interim`` or ``final``; of Landsat: ``RT``, ``T1``,
    ``T2``."""


_TILE = r"(?P<tile>\d{1,2}[C-X][A-Z]{2})"
_STAMP = r"\d{8}T\d{6}"
_CONVENTIONS = tuple(
    re.compile(rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])")
    for pattern in (
        rf"S2(?P<sentinel>[A-D])_MSIL\d[ABC]_{_STAMP}(?:_N(?P<baseline>\d{{4}}))?_R(?P<relative>\d{{3}})_T{_TILE}_(?P<made>{_STAMP})",
        rf"S2(?P<sentinel>[A-D])_OPER_MSI_L\d[ABC]_DS_\w{{4}}_(?P<made>{_STAMP})_S(?P<sensed>{_STAMP})",
        rf"S2(?P<sentinel>[A-D])_OPER_MSI_L\d[ABC]_TL_\w{{4}}_(?P<made>{_STAMP})_A\d{{6}}_T{_TILE}",
        rf"S2(?P<sentinel>[A-D])_T{_TILE}_(?P<sensed>{_STAMP})_L\d[ABC]",
        rf"S2(?P<sentinel>[A-D])_{_TILE}_(?P<taken>\d{{8}})_(?P<sequence>\d{{1,4}})_L\d[ABC]",
        r"L[COTEM]0(?P<landsat>\d)_L\d[A-Z]{2}_(?P<path>\d{3})(?P<row>\d{3})_(?P<taken>\d{8})(?:_(?P<made>\d{8}))?"
        r"_\d\d_(?P<maturity>RT|T1|T2|A1|A2)",
        r"L[COTEM](?P<landsat>\d)(?P<path>\d{3})(?P<row>\d{3})(?P<taken>\d{7})[A-Z]{3}(?P<sequence>\d\d)",
        rf"HLS\.(?P<hls>[LS])30\.T{_TILE}\.(?P<sensed>\d{{7}}T\d{{6}})\.v(?P<version>\d{{1,4}}(?:\.\d{{1,4}})*)",
        r"ga_s2(?P<sentinel>[a-d])m_\w+_3-\d+-\d+_(?P<tile>\d{1,2}[C-X][A-Z]{2})_(?P<taken>\d{4}-\d\d-\d\d)_(?P<maturity>[a-z]+)",
        r"ga_ls(?P<landsat>\d)[a-z]_\w+_3-\d+-\d+_(?P<path>\d{3})(?P<row>\d{3})_(?P<taken>\d{4}-\d\d-\d\d)_(?P<maturity>[a-z]+)",
    )
)

_NAMING = (
    "s2:product_uri",
    "s2:datastrip_id",
    "eopf:datastrip_id",
    "sentinel:datastrip_id",  # Digital Earth Australia
    "sentinel:product_name",
    "sentinel:product_id",  # Earth Search v0
    "s2:granule_id",
    "s2:tile_id",
    "landsat:scene_id",
    "landsat:landsat_scene_id",  # Digital Earth Australia and Africa
    "landsat:product_id",
    "landsat:landsat_product_id",
    "title",
    "label",
)
"""Properties that are names of products, the most complete first."""

_FORMS = {15: "%Y%m%dT%H%M%S", 14: "%Y%jT%H%M%S", 8: "%Y%m%d", 7: "%Y%j", 10: "%Y-%m-%d"}
"""Length of a time -> how it is written: digits alone could be read in two ways."""


def names_of(item: pystac.Item) -> tuple[Named, ...]:
    """Return the parts of an item's names: of its id first, then of properties, then of files of HLS."""
    texts = [item.id, *(item.properties.get(name) for name in _NAMING)]
    found = tuple(named for text in texts if (named := parse_name(text)) is not None)
    return found or tuple(_of_files(item))


def first(values: Iterable[T | None]) -> T | None:
    """Return the first value that is known; none: there is none."""
    return next((value for value in values if value), None)


def parse_name(text: object) -> Named | None:
    """Parse the name of a product; None if it is not one."""
    return _parsed(text) if isinstance(text, str) else None


def is_name(text: object) -> bool:
    """Whether a text is exactly the name of a product."""
    return isinstance(text, str) and any(each.fullmatch(text) for each in _CONVENTIONS)


@lru_cache(maxsize=65536)
def _parsed(text: str) -> Named | None:
    for convention in _CONVENTIONS:
        if match := convention.search(text):
            return _named(match.groupdict())
    return None


def _of_files(item: pystac.Item) -> Iterator[Named]:
    """Yield the parts of an item's file names: CMR-STAC once had numbers for ids."""
    for key in sorted(item.assets):
        named = parse_name(str(item.assets[key].href).rpartition("/")[2])
        if named is not None:
            yield named
            return


def _named(parts: dict[str, str | None]) -> Named:
    sensed, taken = _instant(parts.get("sensed")), _instant(parts.get("taken"))
    when = taken or sensed
    return Named(
        platform=_platform(parts),
        tile=(parts.get("path") or "") + (parts.get("row") or "") or _padded(parts.get("tile")),
        orbit=_orbit(parts, sensed),
        taken=when.date() if when else None,
        sensed=sensed,
        made=_instant(parts.get("made")),
        version=_version(parts),
        sequence=int(parts.get("sequence") or 0),
        maturity=parts.get("maturity") or "",
    )


def _platform(parts: dict[str, str | None]) -> str:
    if letter := parts.get("sentinel"):
        return f"sentinel-2{letter.lower()}"
    return f"landsat-{parts['landsat']}" if parts.get("landsat") else ""


def _orbit(parts: dict[str, str | None], sensed: datetime | None) -> str:
    if relative := parts.get("relative"):
        return f"R{int(relative)}"
    if path := parts.get("path"):
        return f"P{int(path)}"
    # The time in the name of an L30 is that of the scene in the tile, not of the pass.
    return f"D{sensed:%Y%m%dT%H%M%S}" if parts.get("hls") == "S" and sensed else ""


def _version(parts: dict[str, str | None]) -> Version:
    if baseline := parts.get("baseline"):
        return int(baseline[:2]), int(baseline[2:])
    return tuple(int(each) for each in (parts.get("version") or "").split(".") if each)


def _padded(tile: str | None) -> str:
    """Return ``01KAB`` of ``1KAB``: catalogues leave the zero out."""
    return tile.zfill(5) if tile else ""


def _instant(text: str | None) -> datetime | None:
    """Return the UTC instant of a name; digits that are no date count as missing."""
    if text is None:
        return None
    try:
        return datetime.strptime(text, _FORMS[len(text)]).replace(tzinfo=UTC)
    except ValueError:
        return None
