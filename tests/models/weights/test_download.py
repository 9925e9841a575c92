"""Weights: fetched once, checked always, offline afterwards; every way that it can fail has its words."""

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.models import download
from pipeline.models.families import dl_l8s2_uv
from pipeline.models.families import provider as providers
from pipeline.models.families.dl_l8s2_uv import RGBI, DlL8s2Uv
from pipeline.models.families.product_masks import ProductMasks
from pipeline.models.weights import files as weights
from pipeline.models.weights.files import WeightsFile

CONTENT = np.random.default_rng(0).bytes(900_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("host")
    (folder / "net.bin").write_bytes(CONTENT)
    (folder / "other.bin").write_bytes(CONTENT[::-1])
    return folder


@pytest.fixture(scope="module")
def host(folder):
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("host.py")), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache, and no proxy between us and the host."""
    monkeypatch.setattr(weights, "user_cache_path", lambda name: tmp_path / name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cloudmask" / "models"


def file_at(url, name="net.bin", sha256=SHA256):
    return WeightsFile(name=name, url=url, sha256=sha256, size_bytes=len(CONTENT))


def asked(folder):
    path = folder / "asked.txt"
    return path.read_text().splitlines() if path.exists() else []


def left(cache):
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


# -- fetching ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["plain", "moved"])
def test_fetches_into_the_cache(how, host, cache):
    (path,) = download.download("net", [file_at(f"{host}/{how}/net.bin")])
    assert path == cache / "net.bin"
    assert path.read_bytes() == CONTENT
    assert left(cache) == ["net.bin"]


def test_what_is_there_is_not_asked_for_again(host, folder):
    file = file_at(f"{host}/plain/net.bin")
    download.download("net", [file])
    before = asked(folder)
    download.download("net", [file])
    assert asked(folder) == before


def test_a_damaged_file_is_fetched_again(host, cache):
    file = file_at(f"{host}/plain/net.bin")
    cache.mkdir(parents=True)
    (cache / "net.bin").write_bytes(CONTENT[:1000])
    download.download("net", [file])
    assert (cache / "net.bin").read_bytes() == CONTENT


def test_progress_grows_to_the_end(host):
    told = []
    download.download(
        "net", [file_at(f"{host}/plain/net.bin")], lambda *args: told.append(args)
    )
    assert {(name, total) for name, _, total in told} == {("net.bin", len(CONTENT))}
    done = [each for _, each, _ in told]
    assert len(set(done)) >= 3
    assert done == sorted(done)
    assert done[-1] == len(CONTENT)


def test_several_at_once_leave_one_whole_file(host, cache):
    file = file_at(f"{host}/plain/net.bin")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: download.download("net", [file]), range(4)))
    assert left(cache) == ["net.bin"]
    assert (cache / "net.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/plain/other.bin", "not the published file: SHA256 hash"),
        ("/cut/net.bin", "ended before its 900000 bytes"),
        ("/endless/net.bin", "not the published file: more than its 900000 bytes"),
        ("/plain/nothing.bin", "the host answered 404"),
        ("/broken/net.bin", "the host answered 500"),
    ],
)
def test_a_failed_download_is_named_and_leaves_nothing(path, message, host, cache):
    with pytest.raises(
        ModelError, match=f"net.bin of net was not fetched .*{message}"
    ) as error:
        download.download("net", [file_at(f"{host}{path}")])
    assert "set the model's option weights to its path" in str(error.value)
    assert left(cache) == []


def test_a_host_that_never_stops_is_stopped(host):
    told = []
    with pytest.raises(ModelError, match="more than its 900000 bytes"):
        download.download(
            "net", [file_at(f"{host}/endless/net.bin")], lambda *args: told.append(args[1])
        )
    assert max(told) <= len(CONTENT)


def test_a_failed_download_keeps_what_was_there(host, cache):
    download.download("net", [file_at(f"{host}/plain/net.bin")])
    newer = file_at(f"{host}/cut/other.bin", sha256="0" * 64)
    with pytest.raises(ModelError, match="ended before"):
        download.download("net", [newer])
    assert (cache / "net.bin").read_bytes() == CONTENT


def test_offline_is_said():
    # Port 9 is where nobody listens.
    with pytest.raises(ModelError, match="the host cannot be reached from here; try again, or"):
        download.download("net", [file_at("http://127.0.0.1:9/net.bin")])


@pytest.mark.parametrize("url", ["http://example.org/a", "ftp://example.org/a", "file:///a"])
def test_only_https_leaves_the_machine(url):
    with pytest.raises(ModelError, match="come by https alone"):
        download.download("net", [file_at(url)])


def test_a_cache_that_cannot_be_written_is_named(host, cache):
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder should be")
    with pytest.raises(ModelError, match="models cannot be written"):
        download.download("net", [file_at(f"{host}/plain/net.bin")])


# -- using them --------------------------------------------------------------------------------


@pytest.fixture
def published(monkeypatch, shared_data, tmp_path_factory, host, folder):
    """A published network, whose host is this machine."""
    real = dl_l8s2_uv.FILES[RGBI]
    (folder / real.name).write_bytes((shared_data / "weights" / real.name).read_bytes())
    local = WeightsFile(
        name=real.name,
        url=f"{host}/plain/{real.name}",
        sha256=real.sha256,
        size_bytes=real.size_bytes,
    )
    monkeypatch.setitem(dl_l8s2_uv.FILES, RGBI, local)
    monkeypatch.setattr(providers, "OWN", (DlL8s2Uv(), ProductMasks()))
    return local


def load(**options):
    provider = DlL8s2Uv()
    return provider.load(
        provider.resolve(RGBI, level="L1C", roles=dl_l8s2_uv.FOUR_BANDS, options=options)
    )


def test_a_model_says_what_to_do_until_it_is_fetched(published, monkeypatch):
    with pytest.raises(
        ModelError, match=f"not on this machine.*`cloudmask models fetch {RGBI}`"
    ):
        load()
    download.fetch(RGBI)

    def offline(*_, **__):
        raise AssertionError("a fetched model asks nobody")

    monkeypatch.setattr(download.pooch, "retrieve", offline)
    window = np.full((1, 4, 16, 16), 0.3, np.float32)
    assert np.isfinite(load().predict(window)).all()


def test_a_cached_file_that_was_changed_is_refused(published, cache):
    download.fetch(RGBI)
    path = cache / published.name
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(ModelError, match=f"checksum.*instead of {published.sha256}.*fetch"):
        load()


def test_a_path_needs_no_cache(published, folder, cache):
    load(weights=str(folder))
    load(weights=str(folder / published.name))
    assert left(cache) == []


def test_a_folder_without_the_file_is_named(published, tmp_path):
    with pytest.raises(ModelError, match=f"the folder .* lacks {published.name}"):
        load(weights=str(tmp_path))


def test_one_file_for_two_is_refused(tmp_path):
    path = tmp_path / "one.bin"
    path.touch()
    files = [file_at("https://example.org/a", name="a"), file_at("https://example.org/b", "b")]
    with pytest.raises(ModelError, match="is one file; give the folder that holds a, b"):
        weights.given("net", files, str(path))


def test_checksums_of_several_files_depend_on_their_order():
    assert weights.combined(["a"]) == "a"
    assert weights.combined(["a", "b"]) != weights.combined(["b", "a"])


def test_models_without_files_have_nothing_to_fetch(published):
    assert download.files("scl") == ()
    with pytest.raises(ModelError, match="scl has nothing to fetch"):
        download.fetch("scl")
    with pytest.raises(ModelError, match="there is no model 'nonesuch'"):
        download.fetch("nonesuch")


def test_published_files_are_pinned():
    from pipeline.models.families.omnicloudmask import FILES  # noqa: PLC0415

    for each in (*FILES, *dl_l8s2_uv.FILES.values()):
        assert each.url.startswith("https://")
        assert each.url.endswith(each.name)
        assert len(each.sha256) == 64
        # A revision of forty digits: what lies there does not change.
        assert any(len(part) == 40 and int(part, 16) for part in each.url.split("/"))
