"""Work that is begun before it is needed."""

from __future__ import annotations

import time
from threading import Event

import pytest

from aurac.harness.ahead import Ahead


def test_an_error_is_raised_where_the_result_is_asked_for() -> None:
    def fail() -> None:
        raise OSError("no such disk")

    with Ahead(fail) as ahead, pytest.raises(OSError, match="no such disk"):
        ahead.result()


def test_a_block_that_ends_early_waits_for_the_call() -> None:
    """A thread inside torch that is left behind, or broken off, takes the process with it, or hangs it."""
    begun, ended = Event(), Event()

    def slow() -> None:
        begun.set()
        time.sleep(0.1)
        ended.set()

    def fail_meanwhile() -> None:
        with Ahead(slow):
            assert begun.wait(60)
            raise KeyError

    with pytest.raises(KeyError):
        fail_meanwhile()
    assert ended.is_set()
