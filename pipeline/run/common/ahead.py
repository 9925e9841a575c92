"""Work in threads, a little ahead of whoever uses its results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def in_order(
    do: Callable[[Given], Made],
    things: Iterable[Given],
    *,
    most: int,
    stop: Callable[[], object] = lambda: None,
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
    stop
        Called if the results are no longer wanted, before what is being made is waited for.

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
            stop()
            threads.shutdown(wait=False, cancel_futures=True)
            raise
