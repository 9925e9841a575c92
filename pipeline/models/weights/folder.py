"""A model folder, as `cloudmask train` writes it: weights, a card, and measures of accuracy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from pipeline.errors import ModelError
from pipeline.models.architectures import AnyShape
from pipeline.models.weights.files import UserFile

WEIGHTS = "model.safetensors"
CARD = "card.json"
METRICS = "metrics.json"

FILES = (UserFile(name=WEIGHTS, where="the folder that `cloudmask train` wrote"),)

SHIPPED = Path(__file__).with_name("shipped")
"""Model folders that the package has, by the names of their models."""

SHIPPED_NAMES = ("cloudmask-si",)

MOST_BYTES = 2**20
"""Largest size of a card, in bytes."""


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class FolderCard(BaseModel):
    """The card of a model folder: JSON, written by training and read before any weights are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1, 2] = 2
    """Of this file; the first knew one architecture, and had its sizes beside its name."""
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    version: str
    """Identifies the training: its seed and step."""
    network: AnyShape
    classes: Annotated[tuple[Annotated[int, Field(ge=1, le=6)], ...], BeforeValidator(_listed)]
    """Codes of `Code`, in the order of the scores."""
    levels: Annotated[tuple[Literal["L1C", "L2A"], ...], BeforeValidator(_listed)]
    resolution_m: Annotated[tuple[float, float], BeforeValidator(_listed)]
    weights: str
    """The training data, in words."""
    licence: str
    leaks: Annotated[tuple[str, ...], BeforeValidator(_listed)]
    """Data sets that it was trained on, whose scores flatter it."""
    accuracy: str
    caveats: str

    @model_validator(mode="before")
    @classmethod
    def _of_format_1(cls, value: Any) -> Any:  # noqa: ANN401 -- JSON
        if (
            not isinstance(value, dict)
            or value.get("format", 1) != 1
            or "channels" not in value
        ):
            return value
        rest = {key: each for key, each in value.items() if key not in ("channels", "spectral")}
        sizes = {key: value[key] for key in ("channels", "spectral") if key in value}
        return rest | {"network": {"kind": value.get("network", "spectral-unet"), **sizes}}


def folder_of(name: str, weights: str) -> Path:
    """Return the folder of a model: that of the option ``weights``, or else a shipped one's own."""
    return Path(weights).expanduser() if weights else SHIPPED / name


def is_folder(name: str) -> bool:
    """Return whether a model's name is the path of a folder: it looks like a path, or exists."""
    return "/" in name or name.startswith((".", "~")) or (Path(name) / CARD).is_file()


def read_card(folder: Path) -> FolderCard:
    """Read the card of a model folder.

    Raises
    ------
    ModelError
        There is none, or it is not a card that training wrote.
    """
    path = folder / CARD
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ModelError(f"{path} is too long for the card of a model")
        return FolderCard.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ModelError(
            f"{folder} is no model folder: there is no {CARD} in it; `cloudmask train` writes such folders"
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise ModelError(f"{path}: {where}: {first['msg'].lower()}") from None
