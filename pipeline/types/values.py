"""Kinds of values that settings have, and how a value is refused.

Numbers are strict: ``"10"``, ``yes`` and, for whole numbers, ``512.5`` are mistakes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NoReturn, get_args

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field
from pydantic_core import PydanticCustomError

from pipeline.types.roles import REFLECTANCE_ROLES, THERMAL_ROLES
from pipeline.wording import did_you_mean


def refuse(expected: str, *, key: str | None = None, found: object = None) -> NoReturn:
    """Refuse a value, inside a validator of pydantic.

    Parameters
    ----------
    expected
        What there should be.
    key
        Which key is wrong, where the validator looks at a section as a whole.
    found
        Its value, where `key` is given.
    """
    # pydantic fills in a template: the text may have braces of its own.
    template = "{key}: expected {expected}" if key else "expected {expected}"
    raise PydanticCustomError(
        "refused", template, {"expected": expected, "key": key, "found": found}
    )


def _plain_json(value: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- JSON
    """Return a mapping as JSON gives it back: it is stored with the results and hashed."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        refuse(f"values that JSON can have ({error})")


def _whole_numbers(value: Any) -> Any:  # noqa: ANN401 -- JSON
    """Return JSON where 25.0 is 25: both are one number, and make one fingerprint."""
    if isinstance(value, dict):
        return {key: _whole_numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _reflectance_role(text: str) -> str:
    if text in THERMAL_ROLES:
        refuse(
            f"a band of reflectance, and this one is a temperature: {' | '.join(REFLECTANCE_ROLES)}"
        )
    if text not in REFLECTANCE_ROLES:
        hint = did_you_mean(text, REFLECTANCE_ROLES)
        refuse(f"a band by its role{hint}: {' | '.join(REFLECTANCE_ROLES)}")
    return text


def _slug(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", text):
        refuse("letters, digits, - and _, up to 64 of them")
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:\[\]-]+", text):
        refuse("the name or address of a host, with a port or without, and no scheme or path")
    return text.lower()


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        refuse('a size such as 4000000000 or "4 GiB"')
    return value


Json = Annotated[Mapping[str, Any], AfterValidator(_plain_json)]
Options = Annotated[Json, AfterValidator(_whole_numbers)]
Text = Annotated[str, Field(min_length=1)]
Slug = Annotated[str, AfterValidator(_slug)]
Host = Annotated[str, AfterValidator(_host)]
ReflectanceRole = Annotated[
    str,
    AfterValidator(_reflectance_role),
    Field(json_schema_extra={"enum": list(REFLECTANCE_ROLES)}),
]
Count = Annotated[int, Field(strict=True, gt=0)]
Bytes = Annotated[ByteSize, BeforeValidator(_no_bool), Field(gt=0), AfterValidator(int)]
Metres = Annotated[float, Field(strict=True, ge=0, le=10_000)]
PixelSize = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
MaskPixel = Literal["auto"] | PixelSize | None
SquareMetres = Annotated[float, Field(strict=True, ge=0, le=1_000_000)]
Share = Annotated[float, Field(strict=True, gt=0, le=1)]


AnchorName = Literal["auto", "crs", "landsat", "sentinel-2"]
_ANCHORS = get_args(AnchorName)


def _anchor(value: object) -> object:
    if isinstance(value, str):
        if value in _ANCHORS:
            return value
        refuse(f"{' | '.join(_ANCHORS)}{did_you_mean(value, _ANCHORS)}, or [x, y] in metres")
    numbers = value if isinstance(value, list | tuple) else ()
    # In Python, and so in YAML, yes and no count as numbers.
    sound = [
        isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each)
        for each in numbers
    ]
    if sound != [True, True]:
        refuse(f"{' | '.join(_ANCHORS)}, or [x, y], two numbers of metres in grid.crs")
    return tuple(map(float, numbers))


Anchor = Annotated[AnchorName | tuple[float, float], BeforeValidator(_anchor)]


StepName = Literal["dekad", "month", "season", "year", "all"]
_STEPS = get_args(StepName)
_WANTED_STEP = f"{' | '.join(_STEPS)}, or {{days: n}} with n from 1 to 366"


@dataclass(frozen=True)
class Days:
    """Steps of some days, counted from 1 January of each year; the last of a year is shorter."""

    days: Annotated[int, Field(ge=1, le=366)]

    def __str__(self) -> str:
        return f"{self.days} days"


def _step(value: object) -> object:
    if isinstance(value, Days):
        value = {"days": value.days}
    if isinstance(value, str):
        if value in _STEPS:
            return value
        # As the store writes it.
        if found := re.fullmatch(r"([0-9]{1,3}) days", value):
            value = {"days": int(found[1])}
        else:
            refuse(f"{_WANTED_STEP}{did_you_mean(value, _STEPS)}")
    days = value["days"] if isinstance(value, Mapping) and set(value) == {"days"} else None
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= 366:
        refuse(_WANTED_STEP)
    return Days(days=days)


StepKind = Annotated[StepName | Days, BeforeValidator(_step)]
"""Which calendar periods composites have."""


def _crs(text: str) -> str:
    if text == "utm":
        return text
    import pyproj  # noqa: PLC0415 -- most jobs need none

    wanted = "utm, or a projected CRS in metres such as EPSG:3035"
    try:
        crs = pyproj.CRS.from_user_input(text)
    except pyproj.exceptions.CRSError:
        refuse(f"{wanted} (pyproj does not know it)")
    units = {axis.unit_name for axis in crs.axis_info}
    if not crs.is_projected or not units <= {"metre", "meter"}:
        refuse(f"{wanted} (this one is in {' and '.join(sorted(units))})")
    return text


GridCrs = Annotated[str, AfterValidator(_crs)]
