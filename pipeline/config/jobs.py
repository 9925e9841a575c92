"""The job file as a whole."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from shapely.geometry.base import BaseGeometry

from pipeline.config.aoi import AOI_FORMS, read_aoi, write_aoi
from pipeline.config.files import read_yaml
from pipeline.config.mistakes import Location, mistakes, path_of, refuse
from pipeline.config.paths import require_apart
from pipeline.config.periods import PERIOD_FORMS, read_period, write_period
from pipeline.config.sections import (
    CompositeSection,
    CubeSection,
    GridSection,
    MaskSection,
    RunSection,
    SlugText,
    SourceSection,
    StacSection,
    base_of,
    store_url,
)
from pipeline.errors import ConfigError
from pipeline.types import (
    CleanSettings,
    CompositeSettings,
    CubeSettings,
    GridSettings,
    GuardSettings,
    Job,
    MaskSettings,
    Period,
    RunSettings,
    ShadowSettings,
    Source,
    StacSettings,
)


def _aoi(value: object, info: ValidationInfo) -> BaseGeometry:
    try:
        return read_aoi(value, base_of(info))
    except ValueError as error:
        refuse(f"{AOI_FORMS}; but {error}")


def _period(value: object) -> Period:
    try:
        return read_period(value)
    except ValueError as error:
        refuse(f"{PERIOD_FORMS}; but {error}")


def _sources(value: object) -> object:
    return [value] if isinstance(value, Mapping) else value


def _store(value: str, info: ValidationInfo) -> str:
    return store_url(value, base_of(info))


class JobFile(BaseModel):
    """A job of cloudmask: one region, what to read, how to mask and compose it, where to keep it."""

    model_config = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, title="cloudmask job"
    )

    name: SlugText = Field(description="Name of the region: letters, digits, - and _.")
    aoi: Annotated[
        BaseGeometry,
        BeforeValidator(_aoi),
        WithJsonSchema(
            {
                "anyOf": [
                    {
                        "type": "array",
                        "items": {"type": "number"},
                        "minItems": 4,
                        "maxItems": 4,
                    },
                    {"type": "object", "required": ["type"]},
                    {"type": "string"},
                ]
            }
        ),
    ] = Field(
        description=f"Area of interest: {AOI_FORMS}. A bbox whose west is larger than its east "
        "crosses the antimeridian. Paths are relative to the job file."
    )
    period: Annotated[
        Period, BeforeValidator(_period), WithJsonSchema({"type": ["string", "integer"]})
    ] = Field(
        alias="datetime",
        description=f"When, UTC: {PERIOD_FORMS}. An end that is a day, month or year is included "
        "whole (2023-06-01/2023-08-31 includes the 31st); an end that is an instant is not.",
    )
    sources: Annotated[
        tuple[SourceSection, ...],
        BeforeValidator(_sources),
        Field(min_length=1),
    ] = Field(description="Where items come from: a list, or a single one.")
    store: Annotated[str, Field(min_length=1), AfterValidator(_store)] = Field(
        description="Path, relative to the job file, or URL of the Icechunk repository."
    )
    cube: CubeSection = CubeSettings()
    grid: GridSection = GridSettings()
    mask: MaskSection = MaskSettings()
    composite: CompositeSection | None = None
    run: RunSection = RunSettings()
    stac: StacSection | None = None

    @model_validator(mode="after")
    def _stac_stands_apart(self) -> Self:
        """Refuse a catalogue that would be written over what the job reads or keeps."""
        if self.stac is not None:
            catalogues = [each.catalog for each in self.sources]
            try:
                require_apart(Path(self.stac.folder), self.store, catalogues)
            except ValueError as error:
                refuse(str(error), key="stac.folder", found=self.stac.folder)
        return self


_SECTIONS: Mapping[str, type] = {
    "sources": Source,
    "cube": CubeSettings,
    "grid": GridSettings,
    "mask": MaskSettings,
    "composite": CompositeSettings,
    "run": RunSettings,
    "stac": StacSettings,
}

_INNER: Mapping[str, type] = {
    "clean": CleanSettings,
    "shadows": ShadowSettings,
    "guard": GuardSettings,
}
"""Sections inside ``mask``."""

_WANTED: Mapping[str, str] = {
    "name": "a name for the region",
    "aoi": AOI_FORMS,
    "datetime": PERIOD_FORMS,
    "sources": "where items come from, e.g. {catalog: earth-search}",
    "catalog": "the name, URL or path of a catalogue",
    "store": "the path or URL of a store",
}


def load_job(path: Path, overrides: Mapping[str, object] | None = None) -> Job:
    """Read a job file.

    Parameters
    ----------
    path
        A YAML file.
    overrides
        Values that stand above those of the file, by key path: ``{"run.workers": 4}``.

    Raises
    ------
    ConfigError
        There is no such file, or it has mistakes: one line each, with its line in the file.
    """
    file = read_yaml(path)
    given = dict(overrides or {})
    values = _overridden(file.values, given)

    def place(location: Location) -> str:
        return "" if path_of(location) in given else f"{file.place(location)}: "

    return _parse(values, path.parent, place)


def parse_job(data: Mapping[str, Any], *, base: Path = Path()) -> Job:
    """Make a job of the plain values of a job file.

    Parameters
    ----------
    data
        What a job file holds.
    base
        Directory that its paths are relative to.

    Raises
    ------
    ConfigError
        It has mistakes: one line each.
    """
    return _parse(data, base, lambda _: "")


def dump_job(job: Job) -> dict[str, Any]:
    """Return a job as plain JSON values in the form of a job file.

    Nothing in it is secret: `parse_job` refuses URLs with passwords and tokens.
    """
    return {
        "name": job.name,
        "aoi": write_aoi(job.aoi),
        "datetime": write_period(job.period),
        "sources": [_plain(each) for each in job.sources],
        "store": job.store,
        "cube": _plain(job.cube),
        "grid": _plain(job.grid),
        "mask": _plain(job.mask),
        "composite": None if job.composite is None else _plain(job.composite),
        "run": _plain(job.run),
        "stac": None if job.stac is None else _plain(job.stac),
    }


def job_schema() -> dict[str, Any]:
    """Return the JSON schema of a job file, for editors."""
    schema = JobFile.model_json_schema()
    sources = schema["properties"]["sources"]
    words = sources.pop("description")
    schema["properties"]["sources"] = {
        "anyOf": [sources, sources["items"]],
        "description": words,
        "title": sources.pop("title"),
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def _parse(data: Mapping[Any, Any], base: Path, place: Callable[[Location], str]) -> Job:
    try:
        read = JobFile.model_validate(dict(data), context={"base": base})
    except ValidationError as error:
        found = mistakes(error.errors(include_url=False), _known_keys, _wanted)
    else:
        return Job(**{each.name: getattr(read, each.name) for each in dataclasses.fields(Job)})
    raise ConfigError("\n".join(f"{place(at)}{path_of(at)}: {words}" for at, words in found))


def _overridden(values: Mapping[Any, Any], overrides: Mapping[str, object]) -> dict[Any, Any]:
    changed = copy.deepcopy(dict(values))
    for path, value in overrides.items():
        *sections, key = path.split(".")
        inner = changed
        for section in sections:
            if not isinstance(inner.get(section), dict):
                inner[section] = {}
            inner = inner[section]
        inner[key] = value
    return changed


def _known_keys(location: Location) -> Sequence[str]:
    names = [step for step in location if isinstance(step, str)]
    if names:
        section = _INNER.get(names[1]) if len(names) > 1 else None
        section = section or _SECTIONS[names[0]]
        return [each.name for each in dataclasses.fields(section)]
    return [field.alias or name for name, field in JobFile.model_fields.items()]


def _wanted(location: Location) -> str:
    return _WANTED.get(str(location[-1]), "a value")


def _plain(settings: Any) -> dict[str, Any]:  # noqa: ANN401 -- any of the settings classes
    return {
        key: list(value) if isinstance(value, tuple) else copy.deepcopy(value)
        for key, value in dataclasses.asdict(settings).items()
    }
