"""The engines that drive a model in memory: the sweep engine, and lm-eval's own model class."""

from __future__ import annotations

from collections.abc import Callable

from lm_eval.api.model import LM

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
        with loading(progress=options.progress):
            model, _ = load_base(
                base.name, base.dtype, options.device, trust_remote_code=base.trust_remote_code, config=base.config
            )
        adapter.resize(model, base.tokenizer)
        model, ranked = adapter.load(model, merge=merges and not options.no_merge)
        sizes = {"batch_size": options.batch_size, "max_length": options.max_length}
        sizes = {name: value for name, value in sizes.items() if value is not None}
        return around(model.eval(), base.tokenizer, **sizes), ranked

    return Engine(open=open_loaded, around=around, one_process=one_process)


AURAC = in_memory(sweep_engine)
HFLM = in_memory(hflm_engine, merges=False, one_process="would build other prompts in several processes")
