"""Work that is begun before it is needed, and broken off where it is not needed."""

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


def test_a_block_that_ends_early_does_not_wait_and_breaks_off_the_call() -> None:
    begun, ended = Event(), Event()

    def forever() -> None:
        try:
            begun.set()
            while True:
                time.sleep(0.01)
        finally:
            ended.set()

    def fail_meanwhile() -> None:
        with Ahead(forever):
            assert begun.wait(60)
            raise KeyError

    with pytest.raises(KeyError):
        fail_meanwhile()
    assert ended.wait(60)
