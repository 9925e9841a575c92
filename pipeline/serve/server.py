"""Running the application: uvicorn, one process or several on one port."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from pipeline.config import ServeSettings
from pipeline.errors import ConfigError
from pipeline.serve.app import make_app
from pipeline.serve.routes.judging import Judge


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a process serves; it is sent to the processes of workers."""

    archives: Mapping[str, str]
    settings: ServeSettings
    judge: Judge | None = None
    """A function of a module, which processes of workers find by its name; see `make_app`."""
    prepare: Callable[[], object] | None = None
    """Another: called in each process that answers with the judge, before it starts threads."""

    def set_up(self) -> None:
        """Prepare the process, if it may judge."""
        if self.prepare is not None and self.settings.max_screened_pixels:
            self.prepare()

    def __call__(self) -> FastAPI:
        """Make the application."""
        self.set_up()
        return make_app(self.archives, self.settings, judge=self.judge)


def serve(served: Served, *, host: str, port: int, workers: int = 1) -> None:
    """Serve until the process is told to end.

    Parameters
    ----------
    host, port
        Where to listen; port 0 takes a free one.
    workers
        Processes, each with memory of its own.

    Raises
    ------
    ConfigError
        The port is taken, or the host is not this machine's.
    """
    config = uvicorn.Config(
        served,
        factory=True,
        host=host,
        port=port,
        workers=workers,
        access_log=False,
        server_header=False,
        log_level="warning",
        timeout_keep_alive=15,
        limit_concurrency=512,
    )
    listening = listen(host, port)
    if workers > 1:
        Multiprocess(config, sockets=[listening]).run()
    else:
        uvicorn.Server(config).run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address; port 0 takes a free one.

    Raises
    ------
    ConfigError
        The port is taken, or the host is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By the protocol's number asyncio knows it for TCP and sends at once. Else an answer's body waits until the client
    # has acknowledged its headers: 40 ms on Linux.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"cannot listen at {host}:{port}: {error.strerror}; --port names another"
        ) from None
    listening.set_inheritable(True)
    return listening
