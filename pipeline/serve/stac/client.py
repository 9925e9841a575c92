"""What stac-fastapi asks: collections, items and searches over all archives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import attr
from fastapi import Request
from stac_fastapi.types.core import BaseCoreClient
from stac_fastapi.types.links import CollectionLinks, ItemLinks
from stac_fastapi.types.requests import get_base_url
from stac_fastapi.types.rfc3339 import str_to_interval

from pipeline.serve.archives import Archives
from pipeline.serve.problems import Refused
from pipeline.serve.stac import documents, search
from pipeline.serve.stac.documents import Item, Json
from pipeline.serve.state import State

MOST = 1_000
"""Items a page."""


@attr.s
class Client(BaseCoreClient):
    """Answers from the newest snapshot of each archive."""

    archives: Archives = attr.ib(kw_only=True)
    most_vertices: int = attr.ib(kw_only=True)

    def _states(self) -> list[State]:
        return [self.archives.get(name).state() for name in self.archives.names]

    def _collections(self) -> dict[str, tuple[State, Json]]:
        return {
            each["id"]: (state, each)
            for state in self._states()
            for each in documents.collections(state)
        }

    def _collection(self, name: str) -> Json:
        found = self._collections().get(name)
        if found is None:
            raise Refused(404, "there is no such collection: /stac/collections lists them")
        return found[1]

    # -- collections ---------------------------------------------------------------------------

    def all_collections(self, **kwargs: Any) -> Any:
        """List the collections of all archives."""
        base = get_base_url(kwargs["request"])
        found = [_linked_collection(each, base) for _, each in self._collections().values()]
        links = [
            {"rel": "self", "type": "application/json", "href": f"{base}collections"},
            {"rel": "root", "type": "application/json", "href": base},
        ]
        return {"collections": found, "links": links}

    def get_collection(self, collection_id: str, **kwargs: Any) -> Any:
        """Return a collection."""
        base = get_base_url(kwargs["request"])
        return _linked_collection(self._collection(collection_id), base)

    # -- items ---------------------------------------------------------------------------------

    def get_item(self, item_id: str, collection_id: str, **kwargs: Any) -> Any:
        """Return an item."""
        self._collection(collection_id)
        wanted = search.Wanted(ids=[item_id], collections=[collection_id])
        found = wanted.of(self._items())
        if not found:
            raise Refused(404, f"collection {collection_id} has no such item")
        return _linked(found[0], kwargs["request"])

    def item_collection(
        self,
        collection_id: str,
        bbox: Any = None,
        datetime: Any = None,
        limit: int = 10,
        token: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the items of a collection, page by page."""
        self._collection(collection_id)
        start, end = search.span_of(str_to_interval(datetime))
        wanted = search.Wanted(
            collections=[collection_id], area=search.box_of(bbox), start=start, end=end
        )
        return self._page(wanted, limit, token, kwargs["request"])

    def get_search(
        self,
        collections: Sequence[str] | None = None,
        ids: Sequence[str] | None = None,
        bbox: Any = None,
        intersects: Any = None,
        datetime: Any = None,
        limit: int | None = 10,
        **kwargs: Any,
    ) -> Any:
        """Search items of all archives."""
        if bbox is not None and intersects is not None:
            raise Refused(400, "bbox and intersects: expected one of them")
        area = search.box_of(bbox)
        if intersects is not None:
            area = search.shape_of(_geometry(intersects), self.most_vertices)
        start, end = search.span_of(str_to_interval(datetime))
        order = [
            (each.lstrip("+-"), each.startswith("-")) for each in kwargs.get("sortby") or ()
        ]
        wanted = search.Wanted(
            collections=collections, ids=ids, area=area, start=start, end=end, order=order
        )
        return self._page(wanted, limit, kwargs.get("token"), kwargs["request"])

    def post_search(self, search_request: Any, **kwargs: Any) -> Any:
        """Search items of all archives."""
        area = search.box_of(search_request.bbox)
        if search_request.intersects is not None:
            geometry = search_request.intersects.model_dump(exclude_none=True)
            area = search.shape_of(geometry, self.most_vertices)
        start, end = search.span_of(str_to_interval(search_request.datetime))
        wanted = search.Wanted(
            collections=search_request.collections,
            ids=search_request.ids,
            area=area,
            start=start,
            end=end,
            order=[
                (each.field, each.direction == "desc") for each in search_request.sortby or ()
            ],
        )
        return self._page(wanted, search_request.limit, search_request.token, kwargs["request"])

    def _items(self) -> list[Item]:
        return [item for state in self._states() for item in documents.items(state)]

    def _page(
        self, wanted: search.Wanted, limit: int | None, token: str | None, request: Request
    ) -> Json:
        found = wanted.of(self._items())
        first, size = _first(token), min(limit or 10, MOST)
        shown = [_linked(each, request) for each in found[first : first + size]]
        links = [{"rel": "root", "type": "application/json", "href": get_base_url(request)}]
        if first + size < len(found):
            links.append(_next(request, f"{first + size}"))
        return {
            "type": "FeatureCollection",
            "features": shown,
            "links": links,
            "numberMatched": len(found),
            "numberReturned": len(shown),
        }


def _geometry(text: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(400, "intersects: expected a GeoJSON geometry") from None
    return found.get("geometry", found) if isinstance(found, dict) else found


def _first(token: str | None) -> int:
    if token is None:
        return 0
    if not token.isascii() or not token.isdecimal() or len(token) > 9:
        raise Refused(400, "token: expected that of a link to the next page")
    return int(token)


def _next(request: Request, token: str) -> Json:
    """Return the link to the next page."""
    link: Json = {"rel": "next", "type": "application/geo+json", "method": request.method}
    address = str(request.url.replace(query=""))
    if request.method == "POST":
        return link | {"href": address, "body": {"token": token}, "merge": True}
    query = {**dict(request.query_params), "token": token}
    return link | {"href": f"{address}?{urlencode(query)}"}


def _linked_collection(document: Json, base: str) -> Json:
    links = CollectionLinks(collection_id=document["id"], base_url=base).create_links()
    return {**document, "links": links}


def _linked(item: Item, request: Request) -> Json:
    base = get_base_url(request)
    links = ItemLinks(collection_id=item.collection, item_id=item.id, base_url=base)
    # Assets lie beside the STAC API, not below it.
    server = base.rstrip("/").removesuffix("/stac")
    assets = {
        name: {**each, "href": f"{server}/{each['href']}"}
        for name, each in item.document["assets"].items()
    }
    return {**item.document, "links": links.create_links(), "assets": assets}
