"""What is checked just before a read: names that lead to private addresses, and redirects."""

import threading

import pytest
import requests

from pipeline import access
from pipeline.access import network
from pipeline.errors import AccessError, AccessUnavailableError

LOCAL = ("127.0.0.1",)
TIFF = (206, {"Content-Range": "bytes 0-0/9", "Content-Type": "image/tiff"}, b"I")


def to(target, status=302):
    return (status, {"Location": target}, b"")


@pytest.fixture
def no_requests(monkeypatch):
    """Fail on any request."""

    def asked(url, **kwargs):
        raise AssertionError(f"{url} was asked")

    monkeypatch.setattr(requests, "get", asked)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["93.184.215.14", "192.168.0.1"],
        ["2606:4700:4700::1111", "fd00:ec2::254"],
        ["::ffff:10.0.0.1"],
        ["fe80::1%eth0"],
    ],
)
def test_a_name_that_leads_to_a_private_address_is_refused_before_any_request(
    names, no_requests, addresses
):
    names["data.example.org"] = addresses
    with pytest.raises(AccessError, match=r"data\.example\.org is not read: its name leads to"):
        access.opening("https://data.example.org/a.tif", remote=True)


def test_even_for_a_document_of_this_machine(names, no_requests):
    names["data.example.org"] = ["169.254.169.254"]
    with pytest.raises(AccessError, match="link-local"):
        access.opening("https://data.example.org/a.tif", remote=False)


def test_a_name_that_is_not_found_may_be_found_later(no_requests):
    with pytest.raises(AccessUnavailableError, match="nowhere"):
        access.opening("https://nowhere.example.org/a.tif", remote=True)


def test_behind_a_proxy_only_the_proxy_may_know_names(names, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.example.org:3128")
    answers = iter([_Answer(206)])
    monkeypatch.setattr(requests, "get", lambda url, **kwargs: next(answers))
    found = access.opening("https://data.example.org/a.tif", remote=True)
    assert found.path == "/vsicurl/https://data.example.org/a.tif"
    names["inner.example.org"] = ["10.0.0.1"]
    with pytest.raises(AccessError):
        access.opening("https://inner.example.org/a.tif", remote=True)


class _Answer:
    def __init__(self, status, headers=()):
        self.status_code, self.headers = status, dict(headers)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def test_a_name_that_turns_private_is_noticed(names, monkeypatch):
    monkeypatch.setattr(requests, "get", lambda url, **kwargs: _Answer(206))
    names["data.example.org"] = ["93.184.215.14"]
    href = "https://data.example.org/a.tif"
    assert access.opening(href, remote=True).host == "data.example.org"
    names["data.example.org"] = ["127.0.0.1"]
    network._NAMES.clear()
    with pytest.raises(AccessError):
        access.opening(href, remote=True)


def test_one_byte_is_asked_for_once(server):
    server.answers["/a.tif"] = TIFF
    href = f"{server.url}/a.tif"
    for _ in range(3):
        found = access.opening(href, remote=True, hosts=LOCAL)
        assert found.path == f"/vsicurl/{href}"
        assert found.host == "127.0.0.1"
        assert not found.options
    assert server.asked("/a.tif") == 1
    assert server.requests[0][1]["Range"] == "bytes=0-0"


def test_threads_ask_once(server):
    server.answers["/a.tif"] = TIFF
    paths = []

    def read():
        paths.append(access.opening(f"{server.url}/a.tif", remote=True, hosts=LOCAL).path)

    threads = [threading.Thread(target=read) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paths == [f"/vsicurl/{server.url}/a.tif"] * 16
    assert server.asked("/a.tif") == 1


def test_a_host_that_ignores_the_range_is_not_read_to_the_end(server):
    # More is announced than comes: whoever read on would fail.
    server.answers["/a.tif"] = (200, {"Content-Length": "50000000"}, b"I" * 100_000)
    access.opening(f"{server.url}/a.tif", remote=True, hosts=LOCAL)
    assert server.asked("/a.tif") == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_here_and_gdal_gets_their_end(server, second_server, status):
    server.answers["/a.tif"] = to("/b.tif?x=1", status)
    server.answers["/b.tif"] = to(f"{second_server.url}/c.tif", status)
    second_server.answers["/c.tif"] = TIFF
    found = access.opening(f"{server.url}/a.tif", remote=True, hosts=LOCAL)
    assert found.path == f"/vsicurl/{second_server.url}/c.tif"


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/latest/meta-data/",
        "//169.254.169.254/",
        "http://localhost/a.tif",
        "http://127.0.0.2/a.tif",
        "http://metadata.google.internal/",
        "http://rebound.example.org/a.tif",
        "file:///etc/passwd",
        "s3://bucket/a.tif",
        "ftp://data.example.org/a.tif",
        "https://user:password@data.example.org/a.tif",
        "http://[::1]/a.tif",
        "gopher://127.0.0.1:6379/_x",
    ],
)
def test_redirects_to_where_nothing_may_be_read_are_refused(server, names, target):
    names["rebound.example.org"] = ["10.0.0.1"]
    server.answers["/a.tif"] = to(target)
    with pytest.raises(AccessError, match="is not read") as caught:
        access.opening(f"{server.url}/a.tif", remote=True, hosts=LOCAL)
    assert not caught.value.retryable
    assert "password@" not in str(caught.value)
    assert len(server.requests) == 1


def test_another_port_of_an_allowed_host_is_another_host(server, second_server):
    server.answers["/a.tif"] = to(f"{second_server.url}/a.tif")
    with pytest.raises(AccessError):
        access.opening(f"{server.url}/a.tif", remote=True, hosts=(f"127.0.0.1:{server.port}",))
    assert not second_server.requests


def test_a_circle_of_redirects_ends(server):
    server.answers["/a.tif"] = to("/a.tif")
    with pytest.raises(AccessError, match="more than 5 times"):
        access.opening(f"{server.url}/a.tif", remote=True, hosts=LOCAL)
    assert len(server.requests) == 6


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_host_may_answer_later(server, status):
    server.answers["/a.tif"] = (status, {}, b"")
    href = f"{server.url}/a.tif"
    with pytest.raises(AccessUnavailableError, match=f"HTTP {status}"):
        access.opening(href, remote=True, hosts=LOCAL)
    server.answers["/a.tif"] = TIFF
    assert access.opening(href, remote=True, hosts=LOCAL).path == f"/vsicurl/{href}"


def test_a_host_that_is_not_there_may_be_there_later(server):
    server.close()
    with pytest.raises(AccessUnavailableError, match=r"127\.0\.0\.1 did not answer"):
        access.opening(f"{server.url}/a.tif", remote=True, hosts=LOCAL)


def test_what_a_missing_file_means_is_left_to_the_reader(server):
    href = f"{server.url}/missing.tif"
    assert access.opening(href, remote=True, hosts=LOCAL).path == f"/vsicurl/{href}"


def test_a_forgotten_redirect_is_followed_anew(server):
    server.answers["/a.tif"] = to("/old.tif")
    server.answers["/old.tif"] = server.answers["/new.tif"] = TIFF
    href = f"{server.url}/a.tif"
    assert access.opening(href, remote=True, hosts=LOCAL).path.endswith("/old.tif")
    server.answers["/a.tif"] = to("/new.tif")
    assert access.opening(href, remote=True, hosts=LOCAL).path.endswith("/old.tif")
    access.forget(href)
    assert access.opening(href, remote=True, hosts=LOCAL).path.endswith("/new.tif")


def test_a_redirect_is_remembered_no_longer_than_its_signature(server, monkeypatch):
    clock = [1_800_000_000.0]
    monkeypatch.setattr("time.time", lambda: clock[0])
    server.answers["/a.tif"] = to(f"/b.tif?Expires={int(clock[0]) + 100}&Signature=x")
    server.answers["/b.tif"] = TIFF
    href = f"{server.url}/a.tif"
    for after, asked in ((0, 1), (39, 1), (41, 2)):
        clock[0] = 1_800_000_000.0 + after
        access.opening(href, remote=True, hosts=LOCAL)
        assert server.asked("/a.tif") == asked


@pytest.mark.parametrize(
    ("href", "path"),
    [
        ("https://sentinel-cogs.s3.us-west-2.amazonaws.com/a/B04.tif", None),
        ("https://e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com/a/B04.tif", None),
        ("s3://sentinel-cogs/a/B04.tif", "/vsis3/sentinel-cogs/a/B04.tif"),
        ("s3://deafrica-landsat/a/B04.tif", "/vsis3/deafrica-landsat/a/B04.tif"),
        ("s3://usgs-landsat/a/B04.TIF", "/vsis3/usgs-landsat/a/B04.TIF"),
        ("s3://some-bucket/a/B04.tif", "/vsis3/some-bucket/a/B04.tif"),
        ("gs://some-bucket/a/B04.tif", "/vsigs/some-bucket/a/B04.tif"),
        ("az://container/a/B04.tif", "/vsiaz/container/a/B04.tif"),
        ("HTTPS://Sentinel-COGS.s3.us-west-2.amazonaws.com/B04.tif", "/vsicurl/https://Sentinel-COGS.s3.us-west-2.amazonaws.com/B04.tif"),
    ],
)  # fmt: skip
def test_known_storages_and_buckets_cost_no_request_and_no_name(names, no_requests, href, path):
    found = access.opening(href, remote=True)
    assert found.path == (path or f"/vsicurl/{href}")
    assert found.host
    assert not names["asked"]


@pytest.mark.parametrize(
    ("href", "path"),
    [
        ("/data/a.tif", "/data/a.tif"),
        ("data/a b.tif", "data/a b.tif"),
        ("file:///data/a%20b.tif", "/data/a b.tif"),
        ("FILE://localhost/data/a.tif", "/data/a.tif"),
    ],
)
def test_files_of_this_machine(href, path):
    found = access.opening(href, remote=False)
    assert (found.path, found.host, dict(found.options)) == (path, None, {})
    access.forget(href)
    with pytest.raises(AccessError, match="of this machine"):
        access.opening(href, remote=True)
