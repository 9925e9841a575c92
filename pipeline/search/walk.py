"""Walk a static catalogue, link by link: bounded, and never twice through one document."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from pipeline import access
from pipeline.errors import CatalogUnavailableError, SearchError
from pipeline.search.documents import UNREADABLE, parse_json
from pipeline.search.web import CatalogIO
from pipeline.shown import cut, words_of
from pipeline.wording import counted

MAX_DEPTH = 32
MAX_DOCUMENTS = 1_000_000
"""Most catalogues and items of one walk; a larger static catalogue needs an API."""


def walk(
    document: dict[str, Any], location: str, io: CatalogIO, hosts: Collection[str] = ()
) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the items under a catalogue and where each lies, catalogues in the order of their links.

    Parameters
    ----------
    document, location
        The root and where it lies, a URL or a path.
    io
        What reads documents over HTTP.
    hosts
        Hosts of private addresses that links may lead to.

    Raises
    ------
    CatalogUnavailableError
        A document on the web does not answer.
    SearchError
        A document is not STAC, a link is refused, or the walk never ends.
    """
    visited = {location}
    pending = [(document, location, 0)]
    while pending:
        catalog, at, depth = pending.pop()
        below = []
        for relation, target in _links(catalog, at, io.name):
            if target in visited:
                continue
            visited.add(target)
            _check(target, at, io, hosts)
            if len(visited) > MAX_DOCUMENTS or depth >= MAX_DEPTH:
                raise SearchError(
                    f"catalogue {io.name} never ends: {cut(target)} is {counted(depth + 1, 'catalogue')} deep and "
                    f"document {len(visited)}; at most {MAX_DEPTH} and {MAX_DOCUMENTS} are walked"
                )
            found = (
                _read_item(target, io, catalog)
                if relation == "item"
                else fetch_document(target, io)
            )
            if relation == "item" or found.get("type") == "Feature":
                yield _without_self(found), target
            else:
                below.append((found, target, depth + 1))
        pending.extend(reversed(below))


def _read_item(location: str, io: CatalogIO, catalog: dict[str, Any]) -> dict[str, Any]:
    """Return an item, or a stub with the reason and the collection where it cannot be read."""
    try:
        return fetch_document(location, io)
    except CatalogUnavailableError:
        raise
    except SearchError as error:
        name = catalog.get("id") if catalog.get("type") == "Collection" else None
        # The reason follows the location, however long that is.
        reason = words_of(error, 200 + len(location))
        return {UNREADABLE: reason, "id": location, "collection": name}


def fetch_document(location: str, io: CatalogIO) -> dict[str, Any]:
    """Return the JSON object at a URL or path.

    Raises
    ------
    CatalogUnavailableError
        A URL does not answer.
    SearchError
        There is no JSON object.
    """
    if access.is_remote(location):
        return io.read_json(location)
    try:
        document = parse_json(Path(location).read_bytes())
    except OSError as error:
        # Its own words would name the path again, and what is too long is cut at its end.
        raise SearchError(f"catalogue {location} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SearchError(f"catalogue {location} cannot be read as JSON: {error}") from error
    if not isinstance(document, dict):
        raise SearchError(
            f"catalogue {location} is of type {type(document).__name__}; expected STAC"
        )
    return document


def _links(catalog: dict[str, Any], at: str, name: str) -> Iterator[tuple[str, str]]:
    links = catalog.get("links")
    if not isinstance(links, list):
        raise SearchError(
            f"catalogue {name} is not valid STAC: {cut(at)} has no list of links; expected a "
            "Catalog or Collection with links"
        )
    for link in links:
        relation = link.get("rel") if isinstance(link, dict) else None
        if relation in ("child", "item") and isinstance(link.get("href"), str):
            yield relation, _resolved(link["href"], at)


def _without_self(item: dict[str, Any]) -> dict[str, Any]:
    """Drop an item's self link: the item may be a copy, and counts where it was found."""
    links = item.get("links")
    if not isinstance(links, list):
        return item
    others = [link for link in links if not isinstance(link, dict) or link.get("rel") != "self"]
    return {**item, "links": others}


def _resolved(href: str, at: str) -> str:
    """Resolve a link of a document, without its fragment."""
    whole = href.partition("#")[0]
    if access.is_remote(at) or access.is_remote(href):
        return access.resolved(whole, at)
    path = Path(access.resolved(href, at))
    if whole != href and not path.exists():
        path = Path(access.resolved(whole, at))
    return str(path.resolve())


def _check(target: str, at: str, io: CatalogIO, hosts: Collection[str]) -> None:
    """Refuse a link of a document from elsewhere that leads to this machine or its neighbours."""
    if access.is_remote(at):
        io.check(target)
    elif (reason := access.refused(target, remote=False, hosts=hosts)) is not None:
        raise SearchError(
            f"catalogue {io.name} leads to {cut(target)}, which is refused: {reason}"
        )
