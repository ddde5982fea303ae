"""Work that is begun before it is needed: the model is read while tasks are built."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """A call in a thread of its own, which the block waits for at its end, however it ends.

    A thread inside torch can neither be left behind (the interpreter would end under it) nor broken off (locks that it
    holds would never be released).

    Args:
        call: What to do; only reading, since random numbers and what is printed belong to the main thread.

    Example:
        >>> with Ahead(lambda: 6 * 7) as ahead:
        ...     ahead.result()
        42
    """

    def __init__(self, call: Callable[[], T]) -> None:
        """Begin."""
        self._outcome: Future[T] = Future()
        self._thread = Thread(target=self._run, args=(call,))
        self._thread.start()

    def _run(self, call: Callable[[], T]) -> None:
        try:
            self._outcome.set_result(call())
        except BaseException as error:  # raised again where the result is asked for
            self._outcome.set_exception(error)

    def result(self) -> T:
        """Wait for the call; return what it returned, or raise what it raised."""
        return self._outcome.result()

    def __enter__(self) -> Ahead[T]:
        """Return itself."""
        return self

    def __exit__(self, *_: Any) -> None:
        """Wait for the call."""
        self._thread.join()
