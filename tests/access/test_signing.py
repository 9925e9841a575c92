"""Who signs, with what, and when a token is renewed."""

import json
import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
import rasterio
import requests
from hypothesis import given
from hypothesis import strategies as st
from rasterio.session import Session

from pipeline import access, catalogs
from pipeline.access.locations import is_signed, locate, unsigned, valid_until
from pipeline.catalogs import Storage
from pipeline.errors import AccessError, AccessUnavailableError

LOCAL = ("127.0.0.1",)
NOW = 1_800_000_000.0


@pytest.fixture
def clock(monkeypatch):
    """The time, which only the test moves."""

    class Clock:
        now = NOW

    monkeypatch.setattr("time.time", lambda: Clock.now)
    return Clock


def stamp(seconds):
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class TokenServer:
    """Gives tokens of an hour that count up, one row of the storages is its."""

    def __init__(self, server, monkeypatch, *, container="sentinel2-l2"):
        self.server, self.given, self.life_s, self.delay_s = server, 0, 3600.0, 0.0
        self.path = f"/token/127/{container}"
        server.answers[self.path] = self.answer
        storage = Storage(
            signing="planetary-computer-sas",
            hosts=("127.0.0.1",),
            tokens=f"{server.url}/token",
            account="https://account.example.org",
        )
        monkeypatch.setitem(catalogs.STORAGES, "local", storage)

    def answer(self):
        self.given += 1
        time.sleep(self.delay_s)
        end = stamp(time.time() + self.life_s)
        body = {"token": f"se={end}&sp=r&sig=token{self.given}", "msft:expiry": end}
        return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()

    def opening(self, path="/sentinel2-l2/a.tif"):
        return access.opening(f"{self.server.url}{path}", remote=True, hosts=LOCAL)


@pytest.fixture
def tokens(server, monkeypatch):
    return TokenServer(server, monkeypatch)


def signature(opening):
    return parse_qs(urlsplit(opening.path.removeprefix("/vsicurl/")).query)["sig"]


def test_a_blob_of_the_planetary_computer_gets_the_token_of_its_container(tokens, clock):
    found = tokens.opening("/sentinel2-l2/a/B04.tif")
    assert found.path == (
        f"/vsicurl/{tokens.server.url}/sentinel2-l2/a/B04.tif?se={stamp(NOW + 3600)}&sp=r&sig=token1"
    )
    assert tokens.opening("/sentinel2-l2/b.tif?x=1").path.endswith(
        "b.tif?x=1&" + found.path.partition("?")[2]
    )
    assert (tokens.given, len(tokens.server.requests)) == (1, 1)


def test_threads_ask_once_for_each_container_and_lifetime(tokens, clock):
    tokens.delay_s = 0.05
    tokens.server.answers["/token/127/hls2"] = tokens.answer
    for lifetime in range(1, 4):
        found = []
        start = threading.Barrier(16)

        def read(number, found=found, start=start):
            start.wait()
            container = ("sentinel2-l2", "hls2")[number % 2]
            found.extend(
                (container, *signature(tokens.opening(f"/{container}/{number}-{n}.tif")))
                for n in range(10)
            )

        threads = [threading.Thread(target=read, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 160
        assert len(set(found)) == 2
        assert tokens.given == 2 * lifetime
        clock.now += 3600


def test_threads_that_wait_for_a_server_share_its_failure(tokens):
    def busy():
        time.sleep(0.3)
        return 503, {}, b"busy"

    tokens.server.answers[tokens.path] = busy
    start, failed = threading.Barrier(16), []

    def read():
        start.wait()
        try:
            tokens.opening()
        except AccessUnavailableError as error:
            failed.append(str(error))

    threads = [threading.Thread(target=read) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failed) == 16
    assert tokens.server.asked(tokens.path) < 4
    tokens.server.answers[tokens.path] = tokens.answer
    assert signature(tokens.opening()) == ["token1"]


@pytest.mark.parametrize(
    ("life_s", "after_s", "given"),
    [(3600, 3299, 1), (3600, 3301, 2), (100, 79, 1), (100, 81, 2), (100, 200, 2)],
)
def test_a_token_is_renewed_before_it_ends(tokens, clock, life_s, after_s, given):
    tokens.life_s = life_s
    tokens.opening()
    clock.now += after_s
    assert signature(tokens.opening()) == [f"token{given}"]
    assert tokens.given == given


def test_a_token_that_cannot_be_renewed_serves_to_its_end(tokens, clock):
    tokens.opening()
    tokens.server.answers[tokens.path] = (503, {}, b"busy")
    clock.now += 3500
    assert signature(tokens.opening()) == ["token1"]
    clock.now += 101
    with pytest.raises(AccessUnavailableError, match="gave no token for now"):
        tokens.opening()
    tokens.server.answers[tokens.path] = tokens.answer
    assert signature(tokens.opening()) == ["token2"]


def test_a_refused_token_is_forgotten_and_renewed(tokens, clock):
    assert signature(tokens.opening()) == ["token1"]
    access.forget(f"{tokens.server.url}/sentinel2-l2/a.tif")
    assert signature(tokens.opening()) == ["token2"]


def test_a_thread_that_is_late_does_not_throw_away_what_another_renewed(tokens, clock):
    href = f"{tokens.server.url}/sentinel2-l2/a.tif"
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        for thread in (one, other):
            assert signature(thread.submit(tokens.opening).result()) == ["token1"]
        for thread in (one, other):
            thread.submit(access.forget, href).result()
            assert signature(thread.submit(tokens.opening).result()) == ["token2"]
        other.submit(access.forget, href).result()
        assert signature(one.submit(tokens.opening).result()) == ["token3"]


def test_many_threads_that_are_refused_at_once_renew_once(tokens, clock):
    href = f"{tokens.server.url}/sentinel2-l2/a.tif"
    opened, found = threading.Barrier(16), []

    def read():
        tokens.opening()
        opened.wait()
        access.forget(href)
        found.extend(signature(tokens.opening()))

    threads = [threading.Thread(target=read) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {"token2"}
    assert tokens.given == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((401, {}, b""), AccessError),
        ((403, {}, b""), AccessError),
        ((404, {}, b""), AccessError),
        ((429, {}, b""), AccessUnavailableError),
        ((500, {}, b""), AccessUnavailableError),
        ((302, {"Location": "/elsewhere"}, b""), AccessUnavailableError),
        ((200, {}, b"<html>log in</html>"), AccessUnavailableError),
        ((200, {}, b"[]"), AccessUnavailableError),
        ((200, {}, b'{"token": "sig=x"}'), AccessUnavailableError),
        ((200, {}, b'{"token": "sig=x", "msft:expiry": "soon"}'), AccessUnavailableError),
    ],
)
def test_a_token_server_that_gives_no_token(tokens, answer, kind):
    tokens.server.answers[tokens.path] = answer
    tokens.server.answers["/elsewhere"] = tokens.answer
    with pytest.raises(AccessError, match="token server") as caught:
        tokens.opening()
    assert type(caught.value) is kind
    assert len(tokens.server.requests) == 1


def test_a_token_server_that_is_not_there(tokens):
    tokens.server.close()
    with pytest.raises(AccessUnavailableError, match="did not answer"):
        tokens.opening()


def test_a_key_of_the_planetary_computer_goes_to_its_server_alone(tokens, monkeypatch):
    monkeypatch.setenv("CLOUDMASK_PLANETARY_COMPUTER_KEY", "key-of-mine")
    found = tokens.opening()
    assert tokens.server.requests[0][1]["Ocp-Apim-Subscription-Key"] == "key-of-mine"
    assert "key-of-mine" not in found.path
    assert not found.options


def test_tokens_travel_over_tls_alone(names, monkeypatch):
    monkeypatch.setattr(
        "pipeline.access.signing.sas_token", lambda endpoint, account, container: "sig=x"
    )
    href = "http://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/a.tif"
    assert access.opening(href, remote=True).path == f"/vsicurl/https{href[4:]}?sig=x"


# -- signatures that a location brings -----------------------------------------------------------

BLOB = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/a.tif"


@pytest.fixture
def signer(monkeypatch):
    asked = []

    def token(endpoint, account, container):
        asked.append((endpoint, account, container))
        return "sig=renewed"

    monkeypatch.setattr("pipeline.access.signing.sas_token", token)
    return asked


def test_a_signature_that_holds_is_used_as_it_is(clock, signer):
    href = f"{BLOB}?st={stamp(NOW - 60)}&se={stamp(NOW + 1800)}&sp=rl&sig=abc%2Fdef%3D"
    assert access.opening(href, remote=True).path == f"/vsicurl/{href}"
    assert not signer


@pytest.mark.parametrize("left_s", [-86400, -1, 59])
def test_a_signature_that_ended_or_is_about_to_is_renewed(clock, signer, left_s):
    href = f"{BLOB}?x=1&st={stamp(NOW - 9)}&se={stamp(NOW + left_s)}&sp=rl&sv=2020&sr=c&sig=abc"
    assert access.opening(href, remote=True).path == f"/vsicurl/{BLOB}?x=1&sig=renewed"
    assert signer == [
        ("https://planetarycomputer.microsoft.com/api/sas/v1/token", "sentinel2l2a01", "sentinel2-l2")
    ]  # fmt: skip


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_signature_that_was_refused_is_renewed_although_it_should_hold(clock, signer, scheme):
    href = f"{scheme}{BLOB[5:]}?se={stamp(NOW + 1800)}&sig=abc"
    access.forget(href)
    assert access.opening(href, remote=True).path == f"/vsicurl/{BLOB}?sig=renewed"


def test_a_refused_signature_that_nobody_can_renew_is_tried_again(clock, server):
    # Hosts say 403 when they are busy, too.
    href = f"{server.url}/a.tif?Expires={int(NOW) + 1800}&Signature=abc"
    for _ in range(2):
        assert access.opening(href, remote=True, hosts=LOCAL).path == f"/vsicurl/{href}"
        access.forget(href)


def test_an_ended_signature_of_an_open_bucket_is_left_out(clock):
    url = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/a.tif"
    ended = f"{url}?X-Amz-Algorithm=A&X-Amz-Date=20200101T000000Z&X-Amz-Expires=3600&X-Amz-Signature=abc"
    assert access.opening(ended, remote=True).path == f"/vsicurl/{url}"


def test_an_ended_signature_of_a_bucket_whose_reader_pays_is_replaced_by_ones_own(clock):
    url = "https://usgs-landsat.s3.us-west-2.amazonaws.com/a.TIF"
    ended = f"{url}?X-Amz-Date=20200101T000000Z&X-Amz-Expires=3600&X-Amz-Signature=abc"
    found = access.opening(ended, remote=True)
    assert found.path == "/vsis3/usgs-landsat/a.TIF"
    assert found.options["AWS_REQUEST_PAYER"] == "requester"


@pytest.mark.parametrize(
    "query",
    [
        "se=2020-01-01T00:00:00Z&sig=secretsecret",
        "X-Amz-Date=20200101T000000Z&X-Amz-Expires=60&X-Amz-Signature=secretsecret",
        "X-Goog-Date=20200101T000000Z&X-Goog-Expires=60&X-Goog-Signature=secretsecret",
        "Expires=1577836800&Signature=secretsecret&Key-Pair-Id=x",
    ],
)
def test_an_ended_signature_that_nobody_can_renew_is_said_so(clock, query):
    with pytest.raises(AccessError, match="its signature has ended") as caught:
        access.opening(f"https://data.example.org/a.tif?{query}", remote=True)
    assert "search again" in str(caught.value)
    assert "secretsecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "end"),
    [
        ("se=2026-11-21T10:00:00Z&sig=a", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("se=2026-11-21T10%3A00%3A00Z&sig=a", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("se=2026-11-21&sig=a", datetime(2026, 11, 21, tzinfo=UTC)),
        (
            "X-Amz-Date=20261121T100000Z&X-Amz-Expires=90&X-Amz-Signature=a",
            datetime(2026, 11, 21, 10, 1, 30, tzinfo=UTC),
        ),
        (
            "x-goog-date=20261121T100000Z&x-goog-expires=90&x-goog-signature=a",
            datetime(2026, 11, 21, 10, 1, 30, tzinfo=UTC),
        ),
        ("Expires=1795255200&Signature=a", datetime.fromtimestamp(1795255200, UTC)),
        ("sig=a", None),
        ("se=later&sig=a", None),
        ("X-Amz-Date=20261121T100000Z&X-Amz-Signature=a", None),
        ("Expires=999999999999999999999&Signature=a", None),
    ],
)
def test_when_a_signature_ends(query, end):
    parts = urlsplit(f"https://data.example.org/a.tif?{query}")
    assert is_signed(parts)
    assert valid_until(parts) == end
    assert unsigned(parts) == "https://data.example.org/a.tif"


@given(
    st.dictionaries(st.text("abcxyz", min_size=3, max_size=3), st.text("abc /&=%", max_size=5))
)
def test_law_a_query_without_signature_is_left_alone(parameters):
    url = requests.Request("GET", "https://a.org/a.tif", params=parameters).prepare().url
    assert unsigned(urlsplit(url)) == url


@pytest.mark.parametrize(
    ("url", "bucket", "key"),
    [
        ("s3://b-1/k/l.tif", "b-1", "k/l.tif"),
        ("https://b-1.s3.us-west-2.amazonaws.com/k/l.tif", "b-1", "k/l.tif"),
        ("https://b-1.s3-us-west-2.amazonaws.com/k/l.tif", "b-1", "k/l.tif"),
        ("https://b-1.s3.amazonaws.com/k/l.tif", "b-1", "k/l.tif"),
        ("https://b.1.s3.dualstack.us-west-2.amazonaws.com/k/l.tif", "b.1", "k/l.tif"),
        ("https://s3.us-west-2.amazonaws.com/b-1/k/l.tif", "b-1", "k/l.tif"),
        ("https://s3.amazonaws.com/b-1/k/l.tif", "b-1", "k/l.tif"),
        ("https://b-1.s3.amazonaws.com.example.org/k.tif", "", "k.tif"),
        ("https://s3.example.org/b-1/k.tif", "", "b-1/k.tif"),
        ("gs://b-1/k.tif", "", "k.tif"),
    ],
)
def test_how_a_bucket_is_written(url, bucket, key):
    place = locate(url)
    assert (place.bucket, place.key) == (bucket, key)


# -- accounts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("href", "region"),
    [
        ("s3://sentinel-cogs/a.tif", "us-west-2"),
        ("s3://deafrica-sentinel-2-l2a-c1-dev/a.tif", "af-south-1"),
        ("s3://dea-public-data/a.tif", "ap-southeast-2"),
    ],
)
def test_open_buckets_are_read_without_an_account(href, region):
    options = access.opening(href, remote=True).options
    assert dict(options) == {"AWS_NO_SIGN_REQUEST": "YES", "AWS_REGION": region}


@pytest.mark.parametrize(
    ("href", "path", "region"),
    [
        ("s3://usgs-landsat/c/a.TIF", "usgs-landsat/c/a.TIF", "us-west-2"),
        ("https://usgs-landsat.s3.us-west-2.amazonaws.com/c/a.TIF", "usgs-landsat/c/a.TIF", "us-west-2"),
        ("s3://sentinel-s2-l1c/tiles/B02.jp2", "sentinel-s2-l1c/tiles/B02.jp2", "eu-central-1"),
        ("https://sentinel-s2-l2a.s3.eu-central-1.amazonaws.com/B02.jp2", "sentinel-s2-l2a/B02.jp2", "eu-central-1"),
    ],
)  # fmt: skip
def test_where_the_reader_pays_gdal_says_so_and_signs(href, path, region):
    found = access.opening(href, remote=True)
    assert found.path == f"/vsis3/{path}"
    assert dict(found.options) == {
        "AWS_REQUEST_PAYER": "requester",
        "AWS_NO_SIGN_REQUEST": "NO",
        "AWS_REGION": region,
    }


CDSE = "s3://eodata/Sentinel-2/MSI/L2A/a.jp2"


def test_cdse_is_read_with_its_own_keys(monkeypatch):
    monkeypatch.setenv("CLOUDMASK_CDSE_S3_KEY", "cdse-key")
    monkeypatch.setenv("CLOUDMASK_CDSE_S3_SECRET", "cdse-secret")
    for href in (
        CDSE,
        "https://eodata.dataspace.copernicus.eu/eodata/Sentinel-2/MSI/L2A/a.jp2",
    ):
        found = access.opening(href, remote=True)
        assert found.path == "/vsis3/eodata/Sentinel-2/MSI/L2A/a.jp2"
        assert found.options["AWS_S3_ENDPOINT"] == "eodata.dataspace.copernicus.eu"
        assert found.options["AWS_VIRTUAL_HOSTING"] == "FALSE"
        assert found.options["AWS_ACCESS_KEY_ID"] == "cdse-key"
        assert found.options["AWS_SECRET_ACCESS_KEY"] == "cdse-secret"
        assert found.options["AWS_SESSION_TOKEN"] == ""
        assert found.host == "eodata.dataspace.copernicus.eu"
        assert found.connections == 4


HLS = "https://data.lpdaac.earthdatacloud.nasa.gov/lp-prod-protected/HLSL30.020/a.tif"


@pytest.mark.parametrize("variable", ["CLOUDMASK_EARTHDATA_TOKEN", "EARTHDATA_TOKEN"])
def test_earthdata_is_read_with_a_token(monkeypatch, variable):
    monkeypatch.setenv(variable, "earthdata-token")
    found = access.opening(HLS, remote=True)
    assert found.path == f"/vsicurl/{HLS}"
    assert found.options["GDAL_HTTP_HEADERS"] == "Authorization: Bearer earthdata-token"
    assert found.options["GDAL_HTTP_COOKIEFILE"] == found.options["GDAL_HTTP_COOKIEJAR"]
    folder = os.path.dirname(found.options["GDAL_HTTP_COOKIEJAR"])
    assert os.stat(folder).st_mode & 0o077 == 0


@pytest.mark.parametrize("named", [True, False])
def test_or_with_a_line_in_a_netrc(monkeypatch, tmp_path, named):
    file = tmp_path / ("logins" if named else ".netrc")
    file.write_text("machine urs.earthdata.nasa.gov login me password pass-of-mine\n")
    file.chmod(0o600)
    if named:
        monkeypatch.setenv("NETRC", str(file))
    options = access.opening(HLS, remote=True).options
    assert options["GDAL_HTTP_NETRC"] == "YES"
    assert options.get("GDAL_HTTP_NETRC_FILE") == (str(file) if named else None)
    assert "GDAL_HTTP_HEADERS" not in options


@pytest.mark.parametrize(
    ("href", "given", "variable", "page"),
    [
        (CDSE, {}, "CLOUDMASK_CDSE_S3_KEY", "https://documentation.dataspace.copernicus.eu/APIs/S3.html"),
        (CDSE, {"CLOUDMASK_CDSE_S3_KEY": "k"}, "CLOUDMASK_CDSE_S3_SECRET", "https://documentation.dataspace.copernicus.eu"),
        (CDSE, {"CLOUDMASK_CDSE_S3_KEY": "", "CLOUDMASK_CDSE_S3_SECRET": ""}, "CLOUDMASK_CDSE_S3_KEY", "https://"),
        (HLS, {}, "CLOUDMASK_EARTHDATA_TOKEN", "https://urs.earthdata.nasa.gov/users/new"),
        ("https://lpdaac.earthdata.nasa.gov/lp-prod-protected/a.tif", {}, "CLOUDMASK_EARTHDATA_TOKEN", "netrc"),
    ],
)  # fmt: skip
def test_a_missing_account_is_named_with_the_page_that_gives_one(
    monkeypatch, href, given, variable, page
):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(AccessError, match=variable) as caught:
        access.opening(href, remote=True)
    assert page in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "href",
    [
        "https://landsatlook.usgs.gov/gen-browse?id=a",
        "https://zipper.dataspace.copernicus.eu/odata/v1/Products(1)/$value",
    ],
)
def test_what_wants_a_browser_is_refused_with_the_way_out(href):
    with pytest.raises(AccessError, match="wants a login in a browser") as caught:
        access.opening(href, remote=True)
    assert "alternate" in str(caught.value)


# -- on the wire -----------------------------------------------------------------------------------


class Given(Session):
    def __init__(self, options):
        self.options = options

    def get_credential_options(self):
        return self.options


def read(found, **more):
    options = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", **found.options, **more}
    with rasterio.Env(session=Given(options)), rasterio.open(found.path) as raster:
        assert raster.read(1)[0, 0] == 7


def heard(log):
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_gdal_sends_the_token_of_a_container(raster_server, monkeypatch):
    url, log = raster_server
    monkeypatch.setitem(
        catalogs.STORAGES,
        "local",
        Storage(signing="planetary-computer-sas", hosts=("127.0.0.1",), tokens="x"),
    )
    monkeypatch.setattr(
        "pipeline.access.signing.sas_token", lambda *place: "se=2030-01-01&sig=a%2Fb%3D"
    )
    read(access.opening(f"{url}/container/a.tif", remote=True, hosts=LOCAL))
    assert {path for _, path, _ in heard(log)} == {
        "/container/a.tif?se=2030-01-01&sig=a%2Fb%3D"
    }


def test_gdal_sends_a_bearer_token_to_its_host_and_to_no_other(
    raster_server, monkeypatch, names
):
    url, log = raster_server
    monkeypatch.setenv("CLOUDMASK_EARTHDATA_TOKEN", "earthdata-token")
    monkeypatch.setitem(
        catalogs.STORAGES, "local", Storage(signing="earthdata", hosts=("127.0.0.1",))
    )
    read(access.opening(f"{url}/elsewhere/a.tif", remote=True, hosts=LOCAL))
    sent = {(path, headers.get("Authorization")) for _, path, headers in heard(log)}
    assert sent == {("/elsewhere/a.tif", "Bearer earthdata-token"), ("/found.tif", None)}


def test_gdal_signs_for_cdse_and_pays_where_the_reader_pays(raster_server, monkeypatch):
    url, log = raster_server
    here = {"AWS_S3_ENDPOINT": url.partition("//")[2], "AWS_HTTPS": "NO"}
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    monkeypatch.setenv("CLOUDMASK_CDSE_S3_KEY", "cdse-key")
    monkeypatch.setenv("CLOUDMASK_CDSE_S3_SECRET", "cdse-secret")
    read(access.opening(CDSE.replace(".jp2", ".tif"), remote=True), **here)
    for _, path, headers in heard(log):
        assert path == "/eodata/Sentinel-2/MSI/L2A/a.tif"
        assert "Credential=cdse-key/" in headers["Authorization"]
        assert "/default/s3/aws4_request" in headers["Authorization"]
        assert "X-Amz-Security-Token" not in {name.title() for name in headers}
    log.write_text("")
    keys = {"AWS_ACCESS_KEY_ID": "own-key", "AWS_SECRET_ACCESS_KEY": "own-secret"}
    found = access.opening("s3://usgs-landsat/c/a.tif", remote=True)
    read(found, **here, **keys, AWS_VIRTUAL_HOSTING="FALSE")
    assert heard(log)
    for _, path, headers in heard(log):
        assert path == "/usgs-landsat/c/a.tif"
        assert {name.lower(): value for name, value in headers.items()}[
            "x-amz-request-payer"
        ] == "requester"
        assert "/us-west-2/s3/" in headers["Authorization"]
    log.write_text("")
    found = access.opening("s3://sentinel-cogs/c/a.tif", remote=True)
    read(found, **here, **keys, AWS_VIRTUAL_HOSTING="FALSE")
    assert heard(log)
    assert not any("Authorization" in headers for _, _, headers in heard(log))


def test_an_opening_is_not_pickled():
    with pytest.raises(TypeError, match="in the process that reads"):
        pickle.dumps(access.opening("s3://sentinel-cogs/a.tif", remote=True))
