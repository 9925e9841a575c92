"""Work in threads, a little ahead of whoever uses its results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def in_order(
    do: Callable[[Given], Made],
    things: Iterable[Given],
    *,
    most: int,
) -> Iterator[Made]:
    """Yield what a function makes of each thing, in order, while it works on the next.

    Parameters
    ----------
    do
        Called in a thread.
    things
        Taken one by one, as late as possible.
    most
        Results that are made or wait at once. 1: nothing is made while a result is used.

    Raises
    ------
    Exception
        The error of a thing, when its turn comes; the results before it have been yielded.
    """
    with ThreadPoolExecutor(most) as threads:
        waiting: deque[Future[Made]] = deque()
        try:
            for each in things:
                waiting.append(threads.submit(do, each))
                if len(waiting) == most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise


class Ahead(Generic[Given, Made]):
    """Makes things in threads, in the order in which they are added, a little ahead of whoever takes the results.

    For one thread that adds and takes.
    """

    def __init__(
        self,
        do: Callable[[Given], Made],
        *,
        most: Callable[[Given], int],
        at_once: int,
        stop: Callable[[], object] = lambda: None,
    ) -> None:
        """Begin with nothing to make.

        Parameters
        ----------
        do
            Called in a thread.
        most
            Says of a thing how many results, its own and those before it, may be made, wait or be used at once; 1: it is not made
            while another is used.
        at_once
            How many things are made at the same time; the others wait for them, or their results for their turn.
        stop
            Called if results are no longer wanted, before what is being made is waited for.
        """
        self._do, self._most, self._stop = do, most, stop
        self._coming: deque[Given] = deque()
        self._begun: deque[Future[Made]] = deque()
        self._threads = ThreadPoolExecutor(at_once)

    def add(self, things: Iterable[Given]) -> None:
        """Make some things after all that were added before; none is begun here."""
        self._coming.extend(things)

    def take(self) -> Made:
        """Return the next result; before, begin as many of the next things as may be.

        Raises
        ------
        Exception
            The error of the thing whose turn it is.
        """
        while self._coming and len(self._begun) < self._most(self._coming[0]):
            self._begun.append(self._threads.submit(self._do, self._coming.popleft()))
        return self._begun.popleft().result()

    def close(self) -> None:
        """Make nothing more, and wait for what is being made."""
        self._coming.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._stop()
        self._threads.shutdown()
