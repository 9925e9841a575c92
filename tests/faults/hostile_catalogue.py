"""The small region behind a server that wants signatures, with a secret in every place that one can stand in."""

import base64
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import yaml

from tests.faults.small_region import AOI, EAST, LANDSAT, WEST, Region
from tests.finding import Planted

HOST = "127.0.0.1"

QUERIES = (
    ("sig", "se", "sp", "sv", "skoid"),
    ("X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token"),
    ("X-Goog-Signature", "X-Goog-Credential"),
    ("Policy", "Signature", "Key-Pair-Id"),
    ("token",),
    ("access_token",),
    ("apikey",),
    ("api-key",),
    ("api_key",),
    ("subscription-key",),
    ("code",),
    ("client_secret",),
    ("password",),
    ("auth",),
    ("hdnts",),
    ("x",),
    ("AWSAccessKeyId", "Expires"),
    ("jwt",),
    ("sid",),
)
"""Names of parameters that come together in one link, in the order of the assets."""


@contextmanager
def signing_server(folder: Path) -> Iterator[str]:
    """Serve a folder; yield the URL of the server."""
    script = Path(__file__).with_name("signing_server.py")
    with subprocess.Popen(
        [sys.executable, str(script), str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield f"http://{HOST}:{int(process.stdout.readline())}"
        finally:
            process.kill()


@dataclass
class Hostile:
    """The archive of a region as such a server has it: half by an API, half as a static catalogue."""

    region: Region
    url: str
    planted: Planted
    rules: dict[str, Any] = field(default_factory=dict)
    items: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._queries = itertools.cycle(QUERIES)
        api = [self._item(EAST), self._item(LANDSAT)]
        static = self._item(WEST)
        self.items += [*api, static]
        self._break(api[0])
        self._serve_api(api)
        self._serve_static(static)
        (self.region.folder / "rules.json").write_text(json.dumps(self.rules))

    # -- items ---------------------------------------------------------------------------------

    def _item(self, name: str) -> dict[str, Any]:
        path = self.region.document(name)
        item: dict[str, Any] = json.loads(path.read_text())
        p, own = self.planted, name[:4]
        for key, asset in item["assets"].items():
            file = (path.parent / asset["href"]).resolve().relative_to(self.region.folder)
            query = {each: p(f"{own} query {each}") + "/+=" for each in next(self._queries)}
            self.rules[f"/{file}"] = {"query": query}
            asset["href"] = f"{self.url}/{file}?{urlencode(query, quote_via=quote)}"
            asset.update(self._about_asset(f"{own} {key[:3]}"))
        item["assets"]["preview"] = {
            "href": f"https://me:{p(own + ' password of href')}@a.org/p.png",
            "roles": ["thumbnail"],
        }
        item["assets"]["other"] = {"href": f"https://{p(own + ' user of href')}@a.org/p.txt"}
        item["properties"] |= self._properties(own)
        item["links"] = self._links(own)
        item["auth:schemes"] = {"s": {"type": "apiKey", "value": p(own + " auth:schemes top")}}
        item["custom"] = {"deep": [{"er": p(own + " unknown top field")}]}
        item["stac_extensions"] = [f"https://a.org/s.json?key={p(own + ' extension')}"]
        item["geometry"]["token"] = p(own + " geometry")
        return item

    def _about_asset(self, own: str) -> dict[str, Any]:
        p = self.planted
        return {
            "title": f"Band, {p(own + ' asset title')}",
            "description": f"password: {p(own + ' asset description')}",
            "auth:refs": [p(own + " auth:refs")],
            "storage:refs": [p(own + " storage:refs")],
            "storage:schemes": {"s3": {"access_key_id": p(own + " storage:schemes")}},
            "headers": {"X-Api-Key": p(own + " asset header")},
            "xarray:open_kwargs": {"storage_options": {"key": p(own + " asset extra")}},
            "alternate": {
                "s3": {"href": f"s3://b/x.tif?X-Amz-Signature={p(own + ' alternate query')}"},
                "web": {"href": f"https://u:{p(own + ' alternate login')}@a.org/x.tif"},
                "deep": {"href": "s3://b/y.tif", "secret": p(own + " alternate field")},
            },
        }

    def _properties(self, own: str) -> dict[str, Any]:
        p = self.planted
        login = base64.b64encode(f"me:{p(own + ' base64 login')}".encode()).decode()
        return {
            "description": f"made with {p(own + ' description')}",
            "title": f"order {p(own + ' title')}",
            "license": p(own + " license"),
            "keywords": [p(own + " keyword")],
            "providers": [{"name": p(own + " provider"), "url": f"https://{p(own + ' provider url')}@a.org"}],
            "contacts": [{"name": p(own + " contact")}],
            "authorization": f"Basic {login}",
            "s2:access_token": p(own + " field of a family"),
            "landsat:note": f"see https://a.org/?code={p(own + ' url in a field')}",
            "processing:software": {"x": f"https://a.org/?key={p(own + ' url in an object')}"},
            "processing:lineage": p(own + " lineage"),
            "custom:anything": {"list": [p(own + " custom")]},
        }  # fmt: skip

    def _links(self, own: str) -> list[dict[str, Any]]:
        p = self.planted
        return [
            {"rel": "self", "href": f"https://me:{p(own + ' login of link')}@a.org/i?apikey={p(own + ' query of link')}"},
            {"rel": "collection", "href": f"https://a.org/c?token={p(own + ' collection link')}"},
            {"rel": "derived_from", "href": f"https://a.org/d#access_token={p(own + ' fragment')}",
             "title": p(own + " link title"),
             "headers": {"Authorization": f"Bearer {p(own + ' link header')}"},
             "body": {"client_secret": p(own + " link body")}},
            {"rel": "license", "href": f"https://a.org/l;jsessionid={p(own + ' path parameter')}"},
            {"rel": "via", "href": f"https://a.org/apikey/{p(own + ' path')}/x"},
        ]  # fmt: skip

    def _break(self, item: dict[str, Any]) -> None:
        """One asset fails for ever and tells its link; another leads elsewhere with a key."""
        p = self.planted
        for key, rule in {
            "blue": {"status": 404, "body": "no {asked}, key " + p("error body of an asset")},
            "red": {"status": 302, "location": f"http://10.0.0.1/x.tif?sig={p('redirect of an asset')}"},
        }.items():  # fmt: skip
            path = item["assets"][key]["href"].removeprefix(self.url).partition("?")[0]
            self.rules[path] = {**self.rules[path], **rule}

    # -- catalogues ----------------------------------------------------------------------------

    def _serve_api(self, items: list[dict[str, Any]]) -> None:
        p, root = self.planted, f"{self.url}/stac"
        first = {"api-key": p("search link")}
        second = {"subscription-key": p("next link")}
        third = {"code": p("redirect of a page")}
        headers = {
            "Authorization": f"Bearer {p('next header')}",
            "X-Api-Key": p("other header"),
        }
        self.rules["/stac"] = {
            "body": {
                "type": "Catalog",
                "id": "api",
                "stac_version": "1.0.0",
                "description": p("landing page"),
                "conformsTo": ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"],
                "links": [{"rel": "search", "method": "POST", "href": f"{root}/search?{urlencode(first)}"}],
            }
        }  # fmt: skip
        following = {
            "rel": "next",
            "method": "POST",
            "href": f"{root}/page2?{urlencode(second)}",
            "headers": headers,
            "body": {"token": p("next body")},
        }
        page = {"type": "FeatureCollection", "features": items[:1], "links": [following]}
        self.rules["/stac/search"] = {"query": first, "body": page}
        self.rules["/stac/page2"] = {
            "query": second,
            "headers": headers,
            "status": 307,
            "location": f"/stac/page3?{urlencode(third)}",
        }
        last = {"type": "FeatureCollection", "features": items[1:], "links": []}
        self.rules["/stac/page3"] = {"query": third, "body": last}
        for number, status in enumerate((401, 500)):
            said = {"detail": "wrong key {asked}", "apikey": p(f"error body {status}")}
            self.rules[f"/stac{number}"] = {**self.rules["/stac"]}
            landing = json.loads(
                json.dumps(self.rules["/stac"]["body"]).replace(
                    "/search?", f"/failing{number}?"
                )
            )
            self.rules[f"/stac{number}"] = {"body": landing}
            self.rules[f"/stac/failing{number}"] = {"status": status, "body": said}  # fmt: skip

    def _serve_static(self, item: dict[str, Any]) -> None:
        p, root = self.planted, f"{self.url}/static"
        query, gone = {"code": p("item link")}, {"token": p("link to nothing")}
        links = [
            {"rel": "item", "href": f"{root}/item.json?{urlencode(query)}"},
            {"rel": "item", "href": f"{root}/gone.json?{urlencode(gone)}"},
        ]
        self.rules["/static/item.json"] = {"query": query, "body": item}
        self.rules["/static/collection.json"] = {
            "body": {
                "type": "Collection",
                "id": item["collection"],
                "stac_version": "1.0.0",
                "description": p("collection description"),
                "license": p("collection license"),
                "providers": [{"name": "x", "url": f"https://{p('collection provider')}@a.org"}],
                "summaries": {"access_token": [p("collection summary")]},
                "auth:schemes": {"s": {"apiKey": p("collection auth")}},
                "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
                "links": links,
            }
        }  # fmt: skip

    # -- jobs ----------------------------------------------------------------------------------

    def job(self, name: str, *catalogues: str, **parts: Any) -> Path:
        """Write a job that reads these catalogues, by their paths on the server."""
        sources = catalogues or ("/stac", "/static/collection.json")
        whole: dict[str, Any] = {
            "name": name,
            "aoi": list(AOI),
            "datetime": "2023-06-01/2023-07-20",
            "sources": [{"catalog": each if "://" in each else self.url + each} for each in sources],
            "cube": {"hosts": [HOST]},
            "grid": {"resolution_m": 10.0, "tile_px": 128, "chunk_px": 64},
            "mask": {"model": "threshold"},
            "composite": {"period": "month", "bands": ["blue", "green", "red"]},
            "run": {"min_completeness": 0.0},
            "store": "store",
            "stac": {"folder": "told"},
        }  # fmt: skip
        path = self.region.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(whole | parts))
        return path
