"""Keeps what lm-eval prints away from the results and out of the progress bar."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

_LM_EVAL = "lm_eval"


@contextlib.contextmanager
def building() -> Iterator[None]:
    """Drop the bars and notes of building tasks and models: about settings that are in the record anyway."""
    from datasets.utils import logging as datasets_logging

    bars = datasets_logging.is_progress_bar_enabled()
    datasets_logging.disable_progress_bar()
    loggers = [logging.getLogger(name) for name in (_LM_EVAL, "datasets")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        # Bars only: loggers keep the stream they were made with.
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            datasets_logging.enable_progress_bar()


@contextlib.contextmanager
def loading(*, progress: bool) -> Iterator[None]:
    """Let transformers show no bar while it loads a model, where no progress is wanted."""
    from transformers.utils import logging as transformers_logging

    bars = transformers_logging.is_progress_bar_enabled()
    if not progress:
        transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if bars:
            transformers_logging.enable_progress_bar()


@contextlib.contextmanager
def answering(bar: Any) -> Iterator[None]:
    """Let everything said meanwhile stand on lines of its own beside a bar, and lm-eval's warnings once each.

    That is what warnings, loggers and the tasks' own code write to standard error; what they print goes there too.

    Args:
        bar: The bar that is shown; a hidden one needs no room.
    """
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith(_LM_EVAL)]
    once = _OncePerPlace()
    with contextlib.ExitStack() as stack:
        for logger in loggers:
            logger.addFilter(once)
            stack.callback(logger.removeFilter, once)
        if not bar.disable:
            lines = stack.enter_context(contextlib.closing(_BesideBar(sys.stderr)))
            for handler in _console_handlers():
                stack.callback(handler.setStream, handler.setStream(lines))
            stack.enter_context(contextlib.redirect_stderr(lines))
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield


def _console_handlers() -> list[logging.StreamHandler[Any]]:
    """Return the handlers of all loggers that keep standard output or error as their stream; some ask for it anew."""
    loggers = [logging.root, *(each for each in logging.root.manager.loggerDict.values() if hasattr(each, "handlers"))]
    handlers = [handler for logger in loggers for handler in logger.handlers]
    console = (sys.stdout, sys.stderr)
    return [
        each for each in handlers if isinstance(each, logging.StreamHandler) and vars(each).get("stream") in console
    ]


class _BesideBar(io.TextIOBase):
    """A stream that waits for whole lines, clears the bar, writes them and draws the bar again below.

    Of a line that was overwritten, as bars of other libraries do, what stood there last is written.
    """

    def __init__(self, stream: Any) -> None:
        self._stream, self._begun = stream, ""

    def write(self, text: str) -> int:
        """Write the lines that are complete, and keep the rest."""
        *ended, self._begun = (self._begun + text).split("\n")
        if lines := [line for each in ended if (line := each.rstrip("\r").rpartition("\r")[2]).strip()]:
            with tqdm.external_write_mode(file=self._stream):
                # A log keeps what a terminal clears, and would have both in one line.
                self._stream.write("" if self.isatty() else "\n")
                self._stream.writelines(line + "\n" for line in lines)
        return len(text)

    def close(self) -> None:
        """Write what lacks the end of its line."""
        if not self.closed and self._begun:
            self.write("\n")
        super().close()

    def isatty(self) -> bool:
        """Whether a person sees it."""
        return bool(self._stream.isatty())

    def fileno(self) -> int:
        """That of the stream behind."""
        return int(self._stream.fileno())

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream behind."""
        return str(self._stream.encoding)


class _OncePerPlace(logging.Filter):
    """Lets the first record of each line of code through; lm-eval warns of each truncated prompt, thousands of them."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[tuple[str, int]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        place = (record.pathname, record.lineno)
        first = place not in self._seen
        self._seen.add(place)
        return first
