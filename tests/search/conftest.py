"""A server on loopback, and STAC APIs on it."""

import threading

import pytest

from tests.search.serving import Api, Server


@pytest.fixture
def server():
    running = Server()
    thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield running
    running.stopping.set()
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def api_of(server):
    """Serve items as an API; keywords are those of `Api`."""

    def serve(items, kind=Api, **parts):
        server.answer = kind(server, items, **parts)
        return server.url + server.answer.root

    return serve
