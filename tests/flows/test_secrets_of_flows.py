"""Nothing that Prefect stores of a run shows a secret: parameters, logs, states, artifacts, results."""

import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipeline import config
from pipeline.errors import CloudmaskError, SearchError
from pipeline.run.executors import local
from pipeline.search import finding
from pipeline.watch import watch_output
from tests.faults.hostile_catalogue import Hostile, signing_server
from tests.finding import PREFIX, Planted
from tests.search.serving import QUICK

SHIPPED_S = 30
WORD = f"{PREFIX}-dying-word"
"""No secret, but found like one."""


@pytest.fixture
def hostile(region, monkeypatch):
    monkeypatch.setattr(finding, "RequestLimits", lambda: QUICK)
    with signing_server(region.folder) as url:
        yield Hostile(region, url, Planted())


def stored_paths() -> list[Path]:
    """Return where Prefect stores things: its home, its results, its database and the journal of that."""
    import prefect.settings as prefect_settings  # noqa: PLC0415

    url = prefect_settings.PREFECT_API_DATABASE_CONNECTION_URL.value()
    database = Path(urlsplit(str(url)).path[1:])
    found = [
        prefect_settings.PREFECT_HOME.value(),
        prefect_settings.PREFECT_LOCAL_STORAGE_PATH.value(),
        database,
    ]
    found += database.parent.glob(f"{database.name}-*")
    assert database.is_file(), database
    return [Path(each) for each in found if Path(each).exists()]


def shipped(word: str) -> None:
    """Wait until a word of a log is in the database: logs travel on their own."""
    probe = Planted()
    probe.kinds["word"] = word
    ends = time.monotonic() + SHIPPED_S
    while not probe.found_below(*stored_paths()):
        assert time.monotonic() < ends, f"{word} is nowhere in {stored_paths()}"
        time.sleep(0.5)


@pytest.mark.slow
def test_prefect_stores_no_secret(flow, hostile, monkeypatch, capfd, tmp_path):
    watch_output()
    planted = hostile.planted
    record = flow.region(config.dump_job(config.load_job(hostile.job("region"))), wait_min=0)
    assert 0 < record.complete < record.expected

    # A catalogue that tells the key to everybody, and a library that dies of it, with a traceback.
    failing = config.load_job(hostile.job("failing", "/stac0", store="other"))
    with pytest.raises(SearchError):
        flow.region(config.dump_job(failing), wait_min=0)

    def die(*_):
        url = f"https://a.org/B04.tif?sig={planted('traceback')}"
        raise RuntimeError(f"{WORD} {url} Authorization: Bearer {planted('bearer')}")

    monkeypatch.setattr(local, "mask_tile", die)
    dying = config.load_job(hostile.job("dying", store="third"))
    with pytest.raises(CloudmaskError, match=WORD):
        flow.region(config.dump_job(dying), wait_min=0)

    shipped(WORD)
    out = tmp_path / "terminal.txt"
    out.write_text("\n".join(capfd.readouterr()))
    assert planted.found_below(*stored_paths()) == {}
    assert planted.found_below(out, tmp_path / "store", tmp_path / "told") == {}
