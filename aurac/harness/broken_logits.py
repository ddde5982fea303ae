"""Logits that are not numbers, noticed while a text is generated: the text itself does not show them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lm_eval.api.model import LM

from aurac.harness.engine.processes import current_processes


class Watch:
    """Whether a logit was NaN since the watch began; kept on the model's device, so that nothing waits for it."""

    def __init__(self) -> None:
        self._found: torch.Tensor | None = None

    def look(self, _module: Any, _inputs: Any, logits: torch.Tensor) -> None:
        """Take note of a call's logits, shape (batch, length, vocabulary); their largest is NaN if one of them is."""
        if logits.numel():
            # Before the last position of several prompts lies padding; the engine has one row, of what it asked for.
            broken = (logits if len(logits) == 1 else logits[:, -1]).amax().isnan()
            self._found = broken if self._found is None else self._found | broken

    def found(self) -> bool:
        """Tell whether a logit was NaN in any of the processes, all of which call this."""
        mine = self._found is not None and bool(self._found)
        return any(current_processes().gather(mine))


@contextmanager
def watching(lm: LM) -> Iterator[Watch]:
    """Watch the output embedding of the model, whichever engine calls it; a model without one is not watched."""
    watch = Watch()
    model: Any = getattr(lm, "model", None)
    output: Any = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    handle = None if output is None else output.register_forward_hook(watch.look)
    try:
        yield watch
    finally:
        if handle is not None:
            handle.remove()
