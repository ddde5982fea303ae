"""The engines that drive a model in memory: the sweep engine, and lm-eval's own model class."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from lm_eval.api.model import LM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from aurac.harness.engine.lm import sweep_engine
from aurac.harness.model import hflm_engine, load_base
from aurac.harness.opening import Base, Engine, EngineOptions, Opened, RankedSource
from aurac.harness.quiet import loading


def in_memory(around: Callable[..., LM], *, merges: bool = True, one_process: str | None = None) -> Engine:
    """Return an engine that loads the base model with transformers and the adapter into it.

    Args:
        around: (model, tokenizer, *, batch_size, max_length) -> lm-eval `LM`; the last two only where they were given.
        merges: Whether ranks may be merged into float32 base weights.
        one_process: Why it does not share documents with other processes; None if it does.
    """

    def open_loaded(adapter: RankedSource, base: Base, options: EngineOptions) -> Opened:
        model = base.ahead() if base.ahead is not None else _loaded(base, options)
        adapter.resize(model, base.tokenizer)
        model, ranked = adapter.load(model, merge=merges and not options.no_merge)
        sizes = {"batch_size": options.batch_size, "max_length": options.max_length}
        sizes = {name: value for name, value in sizes.items() if value is not None}
        lm = around(model.eval(), base.tokenizer, **sizes)
        if hasattr(lm, "profiled"):
            lm.profiled = options.profile
        return lm, ranked

    return Engine(open=open_loaded, ahead=_reading, around=around, one_process=one_process)


def _loaded(base: Base, options: EngineOptions) -> Any:
    """Return the base model on its device."""
    with loading(progress=options.progress):
        trusted = base.trust_remote_code
        return load_base(base.name, base.dtype, options.device, trust_remote_code=trusted, config=base.config)[0]


def _reading(base: Base, options: EngineOptions) -> Callable[[], Any] | None:
    """Return what reads the base model in another thread, without a bar: the one of the tasks is there.

    None where a bar is wanted, that of a download, and where code comes with the model.
    """
    if base.trust_remote_code or not _is_here(base.name):
        return None
    with contextlib.suppress(Exception):  # raised again by the reading
        # Imported here: two threads that import may each meet a module that the other has half done.
        MODEL_FOR_CAUSAL_LM_MAPPING.get(type(base.config))
    return lambda: _loaded(base, replace(options, progress=False))


def _is_here(name: str) -> bool:
    """Tell whether the weights are in a folder or in the cache of the hub."""
    files = ("model.safetensors", "model.safetensors.index.json")
    return Path(name).is_dir() or any(isinstance(try_to_load_from_cache(name, file), str) for file in files)


AURAC = in_memory(sweep_engine)
HFLM = in_memory(hflm_engine, merges=False, one_process="would build other prompts in several processes")
