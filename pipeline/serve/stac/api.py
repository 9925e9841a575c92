"""The application of the STAC API, below ``/stac``."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic_settings import SettingsConfigDict
from stac_fastapi.api.app import StacApi
from stac_fastapi.api.models import (
    ItemCollectionUri,
    create_get_request_model,
    create_post_request_model,
)
from stac_fastapi.api.models import create_request_model as made_of
from stac_fastapi.extensions import SortExtension, TokenPaginationExtension
from stac_fastapi.types.config import ApiSettings

from pipeline.config import ServeSettings
from pipeline.serve.archives import Archives
from pipeline.serve.stac.client import Client

SORT = tuple(
    f"https://api.stacspec.org/{version}/item-search#sort" for version in ("v1.0.0", "v1.1.0")
)
"""Clients of today look for the first, the standard of today has the second."""


class _Settings(ApiSettings):
    """Ours alone: no file of the working directory is read."""

    model_config = SettingsConfigDict(
        env_file=None, env_prefix="CLOUDMASK_STAC_API_", extra="ignore"
    )


def add_api(app: FastAPI, archives: Archives, settings: ServeSettings) -> None:
    """Add the STAC API of some archives to an application; it keeps settings of its own in ``app.state.settings``."""
    extensions = [SortExtension(conformance_classes=[*SORT]), TokenPaginationExtension()]
    about = _Settings(
        stac_fastapi_title="cloudmask",
        stac_fastapi_description="Cloud masks and composites of satellite archives",
        stac_fastapi_landing_id="cloudmask",
        stac_fastapi_version=version("cloudmask"),
    )
    pages: Any = made_of(
        "ItemCollectionURI", base_model=ItemCollectionUri, extensions=[extensions[1]]
    )
    StacApi(
        app=app,
        router=APIRouter(prefix="/stac", tags=["stac"]),
        settings=about,
        client=Client(
            landing_page_id="cloudmask", archives=archives, most_vertices=settings.max_vertices
        ),
        extensions=extensions,
        # Ours: problem details, and no other origin unless the settings say so.
        exceptions={},
        middlewares=[],
        search_get_request_model=create_get_request_model(extensions),
        search_post_request_model=create_post_request_model(extensions),
        items_get_request_model=pages,
    )
