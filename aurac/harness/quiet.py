"""Keeps what lm-eval prints away from the results and out of the progress bar."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Iterator

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
def answering() -> Iterator[None]:
    """Send what the model class prints to standard error, and let each of its warnings through once."""
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith(_LM_EVAL)]
    once = _OncePerPlace()
    for logger in loggers:
        logger.addFilter(once)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(once)


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
