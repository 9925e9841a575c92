"""The parts of a job file: the settings classes of `pipeline.types`, with what each value must be.

The classes stay the single list of keys and defaults; here stand only the checks.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import json
import math
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import pyproj
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationInfo,
    create_model,
)
from pydantic_core import CoreSchema, core_schema

from pipeline.catalogs import CATALOGS
from pipeline.config.mistakes import did_you_mean, holds_secret, refuse
from pipeline.config.vector_files import exists
from pipeline.sensors import ROLES, THERMAL_ROLES
from pipeline.types import (
    CleanSettings,
    ClusterSettings,
    CompositeSettings,
    CubeSettings,
    GridSettings,
    GuardSettings,
    MaskSettings,
    RunSettings,
    ShadowSettings,
    Source,
    StacSettings,
)

_IS_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


# Compared by identity, because types must be hashable and a mapping is not.
@dataclass(frozen=True, eq=False)
class Checked:
    """Let pydantic read a settings class with stricter types for some of its fields."""

    fields: Mapping[str, Any]
    """Name of a field -> its type in a file."""
    also: Callable[[Any], Any] = field(default=lambda settings: settings)
    """Looks at the settings as a whole."""

    def __get_pydantic_core_schema__(
        self, source: type, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Read a model of the same fields, then make the settings of it."""
        model = _model(source, self.fields)

        def settle(read: BaseModel) -> Any:  # noqa: ANN401 -- an instance of `source`
            return self.also(
                source(**{name: getattr(read, name) for name in self.fields_of(source)})
            )

        return core_schema.no_info_after_validator_function(
            settle, handler.generate_schema(model)
        )

    @staticmethod
    def fields_of(settings: type) -> list[str]:
        """Return the keys of a settings class."""
        return [each.name for each in dataclasses.fields(settings)]


def _model(settings: type, checks: Mapping[str, Any]) -> type[BaseModel]:
    hints, words = get_type_hints(settings), _docstrings(settings)
    fields: dict[str, Any] = {
        each.name: (
            checks.get(each.name, hints[each.name]),
            _field(each, words.get(each.name)),
        )
        for each in dataclasses.fields(settings)
    }
    strict = ConfigDict(extra="forbid")
    return create_model(
        settings.__name__, __config__=strict, __doc__=settings.__doc__, **fields
    )


def _field(each: dataclasses.Field[Any], words: str | None) -> Any:  # noqa: ANN401 -- pydantic's
    if each.default is not dataclasses.MISSING:
        return Field(default=each.default, description=words)
    if each.default_factory is not dataclasses.MISSING:
        return Field(default_factory=each.default_factory, description=words)
    return Field(description=words)


def _docstrings(settings: type) -> dict[str, str]:
    """Return what stands under each field of a class, for the JSON schema."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(settings))).body
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    return {
        above.target.id: " ".join(below.value.value.split())
        for above, below in itertools.pairwise(body)
        if isinstance(above, ast.AnnAssign)
        and isinstance(above.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


# -- kinds of values ---------------------------------------------------------------------------


def _plain_json(value: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- JSON
    """Return a mapping as JSON gives it back: it is saved with the results and hashed."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        refuse(f"values that JSON can hold ({error})")


def _catalog(text: str, info: ValidationInfo) -> str:
    _refuse_secret(text)
    if text in CATALOGS or _IS_URL.match(text):
        return text
    path = (base_of(info) / Path(text).expanduser()).resolve()
    if not exists(path):
        hint = did_you_mean(text, CATALOGS)
        refuse(f"{' | '.join(CATALOGS)}{hint}, a URL, or a file (there is no {path})")
    return str(path)


def store_url(text: str, base: Path) -> str:
    """Return the absolute path or the URL of a store.

    Raises
    ------
    ValueError
        The URL holds a secret.
    """
    _refuse_secret(text)
    return text if _IS_URL.match(text) else str((base / Path(text).expanduser()).resolve())


def _folder(text: str, info: ValidationInfo) -> str:
    if _IS_URL.match(text):
        refuse("a local folder; copy it to where it is served afterwards")
    return str((base_of(info) / Path(text).expanduser()).resolve())


def base_of(info: ValidationInfo) -> Path:
    """Return the directory that paths of a job are relative to."""
    context: Mapping[str, Path] = info.context or {}
    return context.get("base", Path())


def _refuse_secret(text: str) -> None:
    if holds_secret(text):
        refuse(
            "a URL without password or token, whose parameters are known to be harmless; logins "
            "belong in the environment (~/.netrc), and a job is kept in places that many read"
        )


def _crs(text: str) -> str:
    if text == "utm":
        return text
    wanted = "utm, or a projected CRS in metres such as EPSG:3035"
    try:
        crs = pyproj.CRS.from_user_input(text)
    except pyproj.exceptions.CRSError:
        refuse(f"{wanted} (pyproj does not know it)")
    units = {axis.unit_name for axis in crs.axis_info}
    if not crs.is_projected or not units <= {"metre", "meter"}:
        refuse(f"{wanted} (this one is in {' and '.join(sorted(units))})")
    return text


def _role(text: str) -> str:
    roles = [role for role in ROLES if role not in THERMAL_ROLES]
    if text in THERMAL_ROLES:
        refuse(f"a band of reflectance, and this one is a temperature: {' | '.join(roles)}")
    if text not in roles:
        refuse(f"a band by its role{did_you_mean(text, roles)}: {' | '.join(roles)}")
    return text


def _no_repeats(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        refuse("each band once")
    return values


ANCHORS = ("auto", "crs", "landsat", "sentinel-2")


def _anchor(value: object) -> object:
    if isinstance(value, str):
        if value in ANCHORS:
            return value
        refuse(f"{' | '.join(ANCHORS)}{did_you_mean(value, ANCHORS)}, or [x, y] in metres")
    numbers = value if isinstance(value, list | tuple) else ()
    # Whatever YAML takes for a number: yes and no are none.
    sound = [
        isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each)
        for each in numbers
    ]
    if sound != [True, True]:
        refuse(f"{' | '.join(ANCHORS)}, or [x, y], two numbers of metres in grid.crs")
    return tuple(map(float, numbers))


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:\[\]-]+", text):
        refuse("the name or address of a host, with a port or without, and no scheme or path")
    return text.lower()


def _chunk(value: int) -> int:
    if value < 16 or value % 16:
        refuse("a multiple of 16")
    return value


def _tile(grid: GridSettings) -> GridSettings:
    if grid.tile_px % grid.chunk_px:
        refuse(f"a multiple of chunk_px ({grid.chunk_px})", key="tile_px", found=grid.tile_px)
    return grid


def _slug(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", text):
        refuse("letters, digits, - and _, up to 64 of them")
    return text


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        refuse('a size such as 4000000000 or "4 GiB"')
    return value


_Json = Annotated[Mapping[str, Any], AfterValidator(_plain_json)]
_Text = Annotated[str, Field(min_length=1)]
_Count = Annotated[int, Field(strict=True, gt=0)]
_Role = Annotated[str, AfterValidator(_role)]
_Bytes = Annotated[ByteSize, BeforeValidator(_no_bool), Field(gt=0), AfterValidator(int)]

SlugText = Annotated[str, AfterValidator(_slug)]

# -- the sections ------------------------------------------------------------------------------

SourceSection = Annotated[
    Source,
    Checked(
        {
            "catalog": Annotated[_Text, AfterValidator(_catalog)],
            "collections": tuple[_Text, ...],
            "query": _Json,
            "filter": _Json,
        }
    ),
]
CubeSection = Annotated[
    CubeSettings, Checked({"hosts": tuple[Annotated[str, AfterValidator(_host)], ...]})
]
GridSection = Annotated[
    GridSettings,
    Checked(
        {
            "crs": Annotated[str, AfterValidator(_crs)],
            "resolution_m": Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)],
            "anchor": Annotated[str | tuple[float, float], BeforeValidator(_anchor)],
            "tile_px": _Count,
            "chunk_px": Annotated[int, Field(strict=True), AfterValidator(_chunk)],
        },
        also=_tile,
    ),
]
_Metres = Annotated[float, Field(strict=True, ge=0, le=10_000)]
_Area = Annotated[float, Field(strict=True, ge=0, le=1_000_000)]
CleanSection = Annotated[
    CleanSettings,
    Checked(
        {
            "open_m": _Metres,
            "close_m": _Metres,
            "dilate_m": _Metres,
            "min_object_m2": _Area,
            "min_hole_m2": _Area,
        }
    ),
]
_Share = Annotated[float, Field(strict=True, gt=0, le=1)]


def _heights(settings: ShadowSettings) -> ShadowSettings:
    if settings.highest_m < settings.lowest_m:
        refuse(
            f"at least lowest_m ({settings.lowest_m:g})",
            key="highest_m",
            found=settings.highest_m,
        )
    return settings


ShadowSection = Annotated[
    ShadowSettings,
    Checked(
        {
            "lowest_m": _Metres,
            "highest_m": _Metres,
            "lowest_sun": Annotated[float, Field(strict=True, ge=5, le=90)],
            "tolerance_m": _Metres,
            "dark_by": _Share,
            "dark_within_m": _Metres,
        },
        also=_heights,
    ),
]
GuardSection = Annotated[
    GuardSettings,
    Checked(
        {
            "history_days": Annotated[int, Field(strict=True, ge=1, le=10_000)],
            "min_dates": Annotated[int, Field(strict=True, ge=2, le=10_000)],
            "share": Annotated[float, Field(strict=True, ge=0.5, le=1)],
            "clear": Annotated[float, Field(strict=True, ge=0.5, le=1)],
            "cell_px": _Count,
        }
    ),
]
MaskSection = Annotated[
    MaskSettings,
    Checked(
        {
            "model": _Text,
            "options": _Json,
            "clean": Mapping[Literal["cloud", "shadow"], CleanSection],
            "shadows": ShadowSection | None,
            "guard": GuardSection | None,
        }
    ),
]
CompositeSection = Annotated[
    CompositeSettings,
    Checked(
        {
            "name": SlugText,
            "bands": Annotated[
                tuple[_Role, ...], Field(min_length=1), AfterValidator(_no_repeats)
            ],
        }
    ),
]


def _cluster(settings: ClusterSettings) -> ClusterSettings:
    named = bool(settings.address)
    if named != (settings.kind == "address"):
        wanted = (
            "a URL such as tcp://scheduler:8786"
            if not named
            else "left out unless kind is address"
        )
        refuse(wanted, key="address", found=settings.address)
    return settings


ClusterSection = Annotated[
    ClusterSettings,
    Checked(
        {
            "workers": _Count,
            "mask_on": Mapping[_Text, Annotated[float, Field(gt=0, allow_inf_nan=False)]],
        },
        also=_cluster,
    ),
]
RunSection = Annotated[
    RunSettings,
    Checked(
        {
            "workers": _Count,
            "cluster": ClusterSection,
            "memory_bytes": _Bytes | None,
            "min_completeness": Annotated[float, Field(strict=True, ge=0, le=1)],
        }
    ),
]
StacSection = Annotated[
    StacSettings,
    Checked({"folder": Annotated[str, Field(min_length=1), AfterValidator(_folder)]}),
]
