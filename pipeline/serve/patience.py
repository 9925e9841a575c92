"""How long a request is worked on: not beyond its time, and not after whoever asked has gone.

Work runs in threads, which nothing can stop from outside: it asks, before each chunk that it reads, whether to go on.
"""

from __future__ import annotations

import asyncio
import time
from contextvars import ContextVar
from dataclasses import dataclass, field

from starlette.types import Message, Receive

from pipeline.serve.problems import Refused


@dataclass(slots=True)
class Patience:
    """Of one request."""

    seconds: float
    until: float = field(init=False)
    gone: bool = False
    """Whether whoever asked has closed the connection."""

    def __post_init__(self) -> None:
        self.until = time.monotonic() + self.seconds

    def require(self) -> None:
        """Give up, with `Refused`, where it is over."""
        if self.gone:
            raise Refused(499, "whoever asked has gone")
        if time.monotonic() > self.until:
            raise Refused(
                503,
                f"the request takes longer than {self.seconds:g} s, the most: ask for less at once",
            )

    async def watch(self, receive: Receive) -> None:
        """Notice when the connection is closed; `receive` has no more of the body to give."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone = True


_CURRENT: ContextVar[Patience | None] = ContextVar("patience", default=None)


def start(seconds: float) -> Patience:
    """Begin a request; its threads inherit what is current."""
    patience = Patience(seconds)
    _CURRENT.set(patience)
    return patience


def require_time() -> None:
    """Give up the current request, with `Refused`, if it is over; there may be none."""
    patience = _CURRENT.get()
    if patience is not None:
        patience.require()


class Watched:
    """What an application receives, and a task that watches the connection once the body is read."""

    def __init__(self, receive: Receive, patience: Patience) -> None:
        self._receive = receive
        self._patience = patience
        self._task: asyncio.Task[None] | None = None

    async def receive(self) -> Message:
        """Return the next message; after the body only the end of the connection is left."""
        if self._task is not None:
            await asyncio.shield(self._task)
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self.watch()
        return message

    def watch(self) -> None:
        """Begin to watch: the body is read, or there is none."""
        if self._task is None:
            self._task = asyncio.create_task(self._patience.watch(self._receive))

    def end(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
