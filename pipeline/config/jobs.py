"""The job file as a whole: read, checked, written, and described for editors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
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
from pipeline.config.files import overridden, read_yaml
from pipeline.config.mistakes import Location, mistakes, path_of
from pipeline.config.paths import (
    catalog_location,
    local_folder,
    require_apart,
    store_url,
)
from pipeline.config.periods import PERIOD_FORMS, read_period, write_period
from pipeline.errors import ConfigError
from pipeline.types import Job, Period, Source, StacSettings
from pipeline.types.values import Text, refuse


def _aoi(value: object, info: ValidationInfo) -> BaseGeometry:
    try:
        return read_aoi(value, _base(info))
    except ValueError as error:
        refuse(f"{AOI_FORMS}; but {error}")


def _period(value: object) -> Period:
    try:
        return read_period(value)
    except ValueError as error:
        refuse(f"{PERIOD_FORMS}; but {error}")


def _sources(value: object) -> object:
    return [value] if isinstance(value, Mapping) else value


def _source(source: Source, info: ValidationInfo) -> Source:
    try:
        catalog = catalog_location(source.catalog, _base(info))
    except ValueError as error:
        refuse(str(error), key="catalog", found=source.catalog)
    return source.replace(catalog=catalog)


def _store(value: str, info: ValidationInfo) -> str:
    try:
        return store_url(value, _base(info))
    except ValueError as error:
        refuse(str(error))


def _stac(stac: StacSettings, info: ValidationInfo) -> StacSettings:
    try:
        folder = local_folder(stac.folder, _base(info))
    except ValueError as error:
        refuse(str(error), key="folder", found=stac.folder)
    return stac.replace(folder=folder)


def _base(info: ValidationInfo) -> Path:
    """Return the directory that paths of a job are relative to."""
    context: Mapping[str, Path] = info.context or {}
    return context.get("base", Path())


_AREA_IN_A_FILE = {
    "anyOf": [
        {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
        {"type": "object", "required": ["type"]},
        {"type": "string"},
    ]
}


class JobFile(Job):
    """A job of cloudmask: one region, what to read, how to mask and compose it, where to store it."""

    # A `Job` as people write it: area and dates in many forms, relative paths.

    model_config = ConfigDict(title="cloudmask job")

    aoi: Annotated[BaseGeometry, BeforeValidator(_aoi), WithJsonSchema(_AREA_IN_A_FILE)] = (
        Field(
            description=f"Area of interest: {AOI_FORMS}. A bbox whose west is larger than its east "
            "crosses the antimeridian. Paths are relative to the job file."
        )
    )
    period: Annotated[
        Period, BeforeValidator(_period), WithJsonSchema({"type": ["string", "integer"]})
    ] = Field(
        alias="datetime",
        description=f"When, UTC: {PERIOD_FORMS}. An end that is a day, month or year is included "
        "whole (2023-06-01/2023-08-31 includes the 31st); an end that is an instant is not.",
    )
    sources: Annotated[
        tuple[Annotated[Source, AfterValidator(_source)], ...],
        BeforeValidator(_sources),
        Field(min_length=1),
    ]
    """Where items come from: a list, or a single one."""
    store: Annotated[Text, AfterValidator(_store)]
    """Path, relative to the job file, or URL of the Icechunk repository; ``zarr+`` before a path makes
    it plain Zarr."""
    stac: Annotated[StacSettings, AfterValidator(_stac)] | None = None
    """None: no catalogue is written; `cloudmask stac` writes one at any time."""

    @model_validator(mode="after")
    def _stac_stands_apart(self) -> Self:
        """Refuse a catalogue that would be written over what the job reads or stores."""
        if self.stac is not None:
            catalogues = [each.catalog for each in self.sources]
            try:
                require_apart(Path(self.stac.folder), self.store, catalogues)
            except ValueError as error:
                refuse(str(error), key="stac.folder", found=self.stac.folder)
        return self


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
        Values used instead of those in the file, by key path: ``{"run.workers": 4}``.

    Raises
    ------
    ConfigError
        There is no such file, or it has mistakes: one line each, with its line in the file.
    """
    file = read_yaml(path)
    given = dict(overrides or {})
    values = overridden(file.values, given)

    def line(location: Location) -> str:
        return "" if path_of(location) in given else f"{file.line_of(location)}: "

    return _parse(values, path.parent, line)


def parse_job(data: Mapping[str, Any], *, base: Path = Path()) -> Job:
    """Make a job of the plain values of a job file.

    Parameters
    ----------
    data
        The content of a job file.
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
    written = {
        "name": job.name,
        "aoi": write_aoi(job.aoi),
        "datetime": write_period(job.period),
    }
    return written | job.model_dump(mode="json", exclude={"name", "aoi", "period"})


def job_schema() -> dict[str, Any]:
    """Return the JSON schema of a job file, for editors."""
    schema = JobFile.model_json_schema()
    sources = schema["properties"]["sources"]
    description = sources.pop("description")
    schema["properties"]["sources"] = {
        "anyOf": [sources, sources["items"]],
        "description": description,
        "title": sources.pop("title"),
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def _parse(data: Mapping[Any, Any], base: Path, line: Callable[[Location], str]) -> Job:
    try:
        read = JobFile.model_validate(dict(data), context={"base": base})
    except ValidationError as error:
        found = mistakes(error, JobFile, _wanted)
    else:
        return Job(**dict(read))
    raise ConfigError("\n".join(f"{line(at)}{path_of(at)}: {text}" for at, text in found))


def _wanted(location: Location) -> str:
    return _WANTED.get(str(location[-1]), "a value")
