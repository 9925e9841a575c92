"""Time, threads and numbers of a running server."""

import asyncio
import socket
import subprocess
import sys
import time
from urllib.request import urlopen

import pytest

from pipeline.serve import patience
from pipeline.serve.problems import Refused
from pipeline.serve.server import listen
from tests.serve.conftest import client_of
from tests.serve.process import serving

BOX = {"bbox": "9.0,47.81,9.04,47.84"}


def test_a_request_is_given_up_after_its_time(region, tmp_path):
    client = client_of({"alps": region.url}, tmp_path, max_seconds=1e-9)
    answer = client.get("/archives/alps/clear-sky", params=BOX)
    assert answer.status_code == 503
    assert "longer than 1e-09 s" in answer.json()["detail"]
    assert client.get("/health/live").status_code == 200


def test_work_is_given_up_when_whoever_asked_has_gone():
    async def gone():
        current = patience.start(60)
        messages = iter([{"type": "http.request"}, {"type": "http.disconnect"}])

        async def receive():
            return next(messages)

        watched = patience.Watched(receive, current)
        assert (await watched.receive())["type"] == "http.request"
        patience.require_time()
        assert (await watched.receive())["type"] == "http.disconnect"
        with pytest.raises(Refused, match="gone"):
            await asyncio.to_thread(patience.require_time)

    asyncio.run(gone())


def test_numbers_are_counted_by_route(client):
    assert client.get("/archives/alps").status_code == 200
    assert client.get("/archives/nobody").status_code == 404
    assert client.get("/no/such/path").status_code == 404
    text = client.get("/metrics").text
    assert 'http_route="/archives/{archive_id}"' in text
    assert "nobody" not in text
    assert "no/such" not in text
    assert "cloudmask_cache_requests" in text


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_answers_are_sent_at_once(host):
    """Without waiting until the client has acknowledged what was sent before: Nagle's algorithm is off."""

    async def no_delay():
        accepted = asyncio.get_running_loop().create_future()

        async def answer(_, writer):
            connection = writer.get_extra_info("socket")
            accepted.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = listen(host, 0)
        async with await asyncio.start_server(answer, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname()[:2])
            found = await accepted
            writer.close()
        return found

    assert asyncio.run(no_delay())


@pytest.mark.slow
def test_nothing_is_said_at_the_start():
    code = "from pipeline.serve import make_app; make_app({})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


@pytest.mark.slow
def test_workers_share_a_port(region):
    with serving({"alps": region.url}, "--workers", "2") as address:
        for _ in range(10):
            with urlopen(f"{address}/archives/alps") as answer:
                assert answer.status == 200
        time.sleep(0.1)
