"""Slices side by side are what plain PEFT makes of each alone, and every rank is measured as often as every other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaForCausalLM

from aurac.errors import ModelError
from aurac.harness import profiling
from aurac.harness.profiling import Workload, measure_costs
from aurac.harness.sliced_model import SlicedModel
from tolerance import assert_same_function

RANKS = (1, 4)
TOKENS = torch.arange(10).reshape(2, 5)
TARGETS = ["q_proj", "down_proj", "embed_tokens"]


@pytest.fixture
def folders(base_folder: Path, tmp_path: Path) -> dict[int, Path]:
    """Adapters of two ranks, made by PEFT alone."""
    for rank in RANKS:
        torch.manual_seed(rank)
        model = get_peft_model(
            LlamaForCausalLM.from_pretrained(base_folder),
            LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=TARGETS),
        )
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(tmp_path / str(rank), save_embedding_layers=False)
    return {rank: tmp_path / str(rank) for rank in RANKS}


@pytest.fixture
def sliced(base_folder: Path, folders: dict[int, Path]) -> SlicedModel:
    return SlicedModel(LlamaForCausalLM.from_pretrained(base_folder).eval(), folders)


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    found: torch.Tensor = model(TOKENS).logits
    return found


def test_each_slice_gives_the_logits_of_plain_peft_attached_and_merged(
    sliced: SlicedModel, folders: dict[int, Path], base_folder: Path
) -> None:
    for rank in (*RANKS, *reversed(RANKS)):
        alone = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(base_folder), folders[rank]).eval()
        with sliced.unmerged(rank) as served:
            assert_same_function(logits(served), logits(alone))
        with sliced.merged(rank) as served:
            assert not any("lora" in name for name, _ in served.named_modules())
            assert_same_function(logits(served), logits(alone.merge_and_unload()))


def test_a_slice_has_the_rows_of_its_rank_only(sliced: SlicedModel) -> None:
    with sliced.unmerged(1) as served:
        layer = served.get_submodule("model.layers.0.self_attn.q_proj")
        assert layer.active_adapters == ["rank-1"]
        assert layer.lora_A["rank-1"].weight.shape[0] == 1


def test_every_rank_is_measured_once_a_round_and_the_order_turns_round(
    sliced: SlicedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, str]] = []
    clock = iter(range(1000))

    def measure(_: object, mode: str, rank: int, *__: object) -> Any:
        asked.append((rank, mode))
        return profiling._Once(prefill=float(next(clock)), decode=2.0, memory=None)

    monkeypatch.setattr(profiling, "_measure_rank", measure)
    costs = measure_costs(sliced, Workload(4, 2, 1, 3), progress=False)
    a_round = [(1, "unmerged"), (1, "merged"), (4, "unmerged"), (4, "merged")]
    turned = [*a_round[2:], *a_round[:2]]
    assert asked == turned + a_round + turned + a_round
    # Rounds 1 to 3 ask for rank 1 attached at the times 4, 10 and 12; round 0 warms up.
    assert costs[1][0].all_prefill_seconds == (4.0, 10.0, 12.0)
    assert (costs[1][0].prefill_seconds, costs[1][0].decode_seconds, costs[1][0].peak_memory_bytes) == (10.0, 2.0, None)


def test_a_measurement_runs_the_prompt_and_each_new_token_once(sliced: SlicedModel) -> None:
    shapes: list[tuple[int, ...]] = []
    with sliced.unmerged(4) as served:
        hook = served.register_forward_pre_hook(
            lambda _, __, kw: shapes.append(tuple(kw["input_ids"].shape)), with_kwargs=True
        )
        once = profiling._measure(served, TOKENS, 3)
        hook.remove()
    assert shapes == [(2, 5), (2, 1), (2, 1), (2, 1)]
    assert once.prefill > 0
    assert once.decode > 0
    assert once.memory is None  # not known on a CPU


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_peak_of_memory_grows_with_the_slice_in_use_alone(base_folder: Path, tmp_path: Path) -> None:
    base = LlamaForCausalLM.from_pretrained(base_folder)
    for rank in (1, 4096):
        options = {"r": rank, "target_modules": ["q_proj"], "init_lora_weights": False}
        get_peft_model(LlamaForCausalLM.from_pretrained(base_folder), LoraConfig(**options)).save_pretrained(
            tmp_path / str(rank)
        )
    sliced = SlicedModel(base.to("cuda").eval(), {rank: tmp_path / str(rank) for rank in (1, 4096)})
    costs = measure_costs(sliced, Workload(8, 2, 1, 2), progress=False)
    small, large = (costs[rank][0].peak_memory_bytes or 0 for rank in (1, 4096))
    assert 0 < small < large
    assert costs[4096][1].peak_memory_bytes == costs[1][1].peak_memory_bytes  # merged


def test_what_the_model_cannot_do_is_said_before_anything_is_measured(
    sliced: SlicedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        ModelError, match=r"120 prompt tokens and 9 new ones are 129, the context of this model has 128"
    ):
        measure_costs(sliced, Workload(120, 9), progress=False)
    monkeypatch.setattr("aurac.harness.sliced_model.cache_keyword", lambda _: None)
    with pytest.raises(ModelError, match=r"takes no key-value cache, so its time per new token cannot be measured"):
        measure_costs(sliced, Workload(4, 2), progress=False)


def test_too_little_memory_is_an_error_with_a_remedy(sliced: SlicedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(profiling, "_measure", full)
    with pytest.raises(
        ModelError, match=r"rank 4 \(unmerged\) with 1 prompts of 4 tokens does not fit .* --batch-size"
    ):
        measure_costs(sliced, Workload(4, 2), progress=False)
