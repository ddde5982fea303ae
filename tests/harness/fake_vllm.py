"""A stand-in for vLLM: its parameters, its prefix cache in blocks, and rows of log-probabilities that nobody wrote."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

BLOCK = 2
UNWRITTEN = SimpleNamespace(logprob=123.0, rank=1)  # what memory holds that was never written


class FakeLLM:
    """vLLM's `LLM` over a transformers model and PEFT folders.

    Attributes:
        only_behind_the_hit: Whether prompt log-probabilities begin where the cache ends, as with vLLM's newer runner,
            or are of all rows, those in the cache being unwritten memory.
        settings: What it was started with.
        sent: The parameters of every prompt.
    """

    last: FakeLLM
    only_behind_the_hit = False

    def __init__(self, **settings: Any) -> None:
        FakeLLM.last = self
        self.settings, self.sent, self.ended = settings, [], False
        self.models: dict[Any, Any] = {}
        self.cache: set[Any] = set()
        self.tokenizer = AutoTokenizer.from_pretrained(settings["tokenizer"])
        self.llm_engine = SimpleNamespace(engine_core=SimpleNamespace(shutdown=lambda: setattr(self, "ended", True)))

    def generate(
        self, prompts: Sequence[Any], parameters: Sequence[Any], *, use_tqdm: bool, lora_request: Any
    ) -> list[Any]:
        assert not use_tqdm
        self.sent += parameters
        return [
            self.answer(p["prompt_token_ids"], how, lora_request) for p, how in zip(prompts, parameters, strict=True)
        ]

    def model(self, lora: Any) -> Any:
        path = None if lora is None else lora.path
        if path not in self.models:
            model = AutoModelForCausalLM.from_pretrained(self.settings["model"], dtype=torch.float32)
            self.models[path] = (model if path is None else PeftModel.from_pretrained(model, path)).eval()
        return self.models[path]

    @torch.inference_mode()
    def answer(self, row: list[int], how: Any, lora: Any) -> Any:
        assert len(row) + how.max_tokens <= self.settings["max_model_len"]
        wants = getattr(how, "prompt_logprobs", None) is not None
        hit = 0 if getattr(how, "skip_reading_prefix_cache", wants) else self.hit(row, lora)
        self.cache |= {(lora and lora.path, *row[:end]) for end in range(BLOCK, len(row) + 1, BLOCK)}
        tokens, written, model = list(row), [], self.model(lora)
        for _ in range(how.max_tokens):
            logs = model(input_ids=torch.tensor([tokens])).logits[0].log_softmax(-1)
            tokens.append(int(logs[-1].argmax()))
            asked = [*(getattr(how, "logprob_token_ids", None) or []), tokens[-1]]
            written.append({token: self.entry(logs[-1], token) for token in asked})
            text = self.tokenizer.decode(tokens[len(row) :], skip_special_tokens=True)
            if tokens[-1] in getattr(how, "stop_token_ids", []) or any(s in text for s in getattr(how, "stop", [])):
                break
        return SimpleNamespace(
            num_cached_tokens=hit,
            prompt_logprobs=self.rows(row, logs, hit) if wants else None,
            outputs=[SimpleNamespace(token_ids=tokens[len(row) :], logprobs=written)],
        )

    def rows(self, row: list[int], logs: torch.Tensor, hit: int) -> list[Any]:
        unwritten = [{token: UNWRITTEN} for token in row[1 : hit + 1]]
        behind = [{row[i + 1]: self.entry(logs[i], row[i + 1])} for i in range(hit, len(row) - 1)]
        return behind if self.only_behind_the_hit else [None, *unwritten, *behind]

    def hit(self, row: list[int], lora: Any) -> int:
        ends = range(BLOCK, len(row), BLOCK)  # the last token is always computed
        return max((end for end in ends if (lora and lora.path, *row[:end]) in self.cache), default=0)

    def entry(self, logs: torch.Tensor, token: int) -> Any:
        return SimpleNamespace(logprob=float(logs[token]), rank=int((logs > logs[token]).sum()) + 1)


def install(monkeypatch: pytest.MonkeyPatch) -> type[FakeLLM]:
    """Let `import vllm` find this one."""
    modules = {name: ModuleType(name) for name in ("vllm", "vllm.lora", "vllm.lora.request")}
    for name, module in modules.items():
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    about = {"LLM": FakeLLM, "SamplingParams": SimpleNamespace, "__version__": "0.0.1"}
    vars(modules["vllm"]).update(about)
    vars(modules["vllm.lora.request"])["LoRARequest"] = lambda name, number, path: SimpleNamespace(
        name=name, number=number, path=path
    )
    monkeypatch.setattr(FakeLLM, "only_behind_the_hit", False)
    return FakeLLM
