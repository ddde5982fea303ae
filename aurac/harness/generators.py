"""The seeds of lm-eval's `simple_evaluate`, without leaving the global generators changed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

FEWSHOT_SEED = 1234
"""Of the draw of few-shot examples, as in `simple_evaluate`."""


@contextmanager
def evaluation_seeds() -> Iterator[None]:
    """Seed Python with 0, NumPy and torch with 1234, as `simple_evaluate` does; put back what was there on leaving.

    Tasks that shuffle or sample with a global generator then do what they do under lm-eval, whatever ran before: the
    order of tasks and ranks, and resuming, change nothing.
    """
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 (lm-eval's tasks use the global one)
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices):
        random.seed(0)
        np.random.seed(1234)  # noqa: NPY002
        torch.manual_seed(1234)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
