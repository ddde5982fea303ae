"""Adapters of the experts of a mixture: what has sub-ranks is cut, and the rest is refused with its true reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model, inject_adapter_in_model
from safetensors.torch import load_file, save_file
from transformers import (
    MixtralConfig,
    MixtralForCausalLM,
    Qwen2MoeConfig,
    Qwen2MoeForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from aurac.cli import main
from aurac.errors import AdapterError
from aurac_adapters import Lora, attach, export_slice, load_adapter, read_adapter, svd_rotate
from tiny import logits, randomise
from tolerance import assert_same_function

# PEFT says so of patterns that it applies to parameters, not modules: the stack below has their rank.
pytestmark = pytest.mark.filterwarnings("ignore:The following (rank|alpha)_pattern keys did not match:RuntimeWarning")
SIZES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "num_experts_per_tok": 2, "vocab_size": 32, "head_dim": 8,
}  # fmt: skip
EXPERTS = 3
QWEN = {**SIZES, "num_experts": EXPERTS, "moe_intermediate_size": 24}


def mixtral() -> Any:
    torch.manual_seed(0)
    return MixtralForCausalLM(MixtralConfig(**SIZES, num_local_experts=EXPERTS)).eval()


def qwen3_moe() -> Any:
    torch.manual_seed(0)
    return Qwen3MoeForCausalLM(Qwen3MoeConfig(**QWEN)).eval()


def qwen2_moe() -> Any:
    torch.manual_seed(0)
    return Qwen2MoeForCausalLM(Qwen2MoeConfig(**QWEN, shared_expert_intermediate_size=24)).eval()


# As transformers 4 named them: the place of the experts, and (in, out) of each projection.
NAMES: dict[Callable[[], Any], tuple[str, dict[str, tuple[int, int]]]] = {
    mixtral: ("block_sparse_moe", {"w1": (32, 48), "w3": (32, 48), "w2": (48, 32)}),
    qwen3_moe: ("mlp", {"gate_proj": (32, 24), "up_proj": (32, 24), "down_proj": (24, 32)}),
    qwen2_moe: ("mlp", {"gate_proj": (32, 24), "up_proj": (32, 24), "down_proj": (24, 32)}),
}
MODELS = pytest.mark.parametrize("model", [mixtral, qwen3_moe])


def all_linear(model: Callable[[], Any], folder: Path) -> Path:
    """What plain PEFT saves for "all-linear", the base model beside it."""
    base = model()
    base.save_pretrained(folder / "base")
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(base, config)
    randomise(adapted)
    adapted.peft_config["default"].base_model_name_or_path = str(folder / "base")
    adapted.save_pretrained(folder / "adapter")
    return folder / "adapter"


def of_single_experts(model: Callable[[], Any], folder: Path, **changes: Any) -> Path:
    """A folder with the keys that PEFT wrote where every expert was a linear layer of its own."""
    model().save_pretrained(folder / "base")
    place, shapes = NAMES[model]
    generator = torch.Generator().manual_seed(1)
    tensors = {}
    for layer in range(2):
        for expert in range(EXPERTS):
            for name, (width_in, width_out) in shapes.items():
                key = f"base_model.model.model.layers.{layer}.{place}.experts.{expert}.{name}"
                tensors[f"{key}.lora_A.weight"] = torch.randn(4, width_in, generator=generator)
                tensors[f"{key}.lora_B.weight"] = torch.randn(width_out, 4, generator=generator)
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "target_modules": list(shapes)}
    config |= {"base_model_name_or_path": str(folder / "base"), "inference_mode": True} | changes
    adapter = folder / "adapter"
    adapter.mkdir()
    save_file(tensors, adapter / "adapter_model.safetensors", metadata={"format": "pt"})
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    return adapter


PARAMETERS = r"uses target_parameters \(down_proj, gate.weight, gate_up_proj\): lora_A of a parameter stacks r rows"


@MODELS
def test_what_peft_makes_of_all_linear_is_refused_when_it_is_read(model: Callable[[], Any], tmp_path: Path) -> None:
    folder = all_linear(model, tmp_path)
    tensors, experts = load_file(folder / "adapter_model.safetensors"), "base_model.model.model.layers.0.mlp.experts"
    assert len(tensors[f"{experts}.lora_A.weight"]) == 4 * EXPERTS  # down_proj: the reason
    assert len(tensors[f"{experts}.base_layer.lora_A.weight"]) == 8 * EXPERTS  # gate_up_proj, by rank_pattern
    with pytest.raises(AdapterError, match=PARAMETERS):
        read_adapter(folder)
    with pytest.raises(AdapterError, match=PARAMETERS + r".* Name linear layers in target_modules, such as q_proj"):
        load_adapter(model(), folder)


@pytest.mark.parametrize(
    "command",
    [
        "info {}", "slice {} --rank 2 --out {out}", "slice {} --rank 2 --merge --out {out}", "rotate {} --out {out}",
        "convert {} --base {base} --out {out}", "card {}", "profile {}", "score {} --tasks arc_easy --out {out}",
    ],
)  # fmt: skip
def test_every_command_that_reads_an_adapter_says_so_in_one_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = all_linear(mixtral, tmp_path)
    words = command.format(folder, out=tmp_path / "out", base=tmp_path / "base")
    capsys.readouterr()  # what saving the base model printed
    assert main(words.split()) != 0
    errors = capsys.readouterr().err.strip()
    assert "uses target_parameters (down_proj, gate.weight, gate_up_proj)" in errors
    assert len(errors.splitlines()) == 1


@MODELS
def test_a_model_with_such_layers_is_not_made_nested(model: Callable[[], Any]) -> None:
    method = Lora(max_rank=4)
    with pytest.raises(AdapterError, match=r"of \"all-linear\" PEFT makes target_parameters"):
        attach(get_peft_model(model(), method.lora_config(target_modules="all-linear")), method)
    config = LoraConfig(r=4, target_modules=[], target_parameters=["mlp.experts.down_proj"])
    injected = inject_adapter_in_model(config, model())
    del injected.peft_config  # as in models of other libraries
    with pytest.raises(AdapterError, match=r"uses target_parameters \(model.layers.0.mlp.experts.down_proj\)"):
        attach(injected, method)


@MODELS
def test_an_adapter_of_single_experts_is_not_loaded_where_peft_makes_parameters_of_it(
    model: Callable[[], Any], tmp_path: Path
) -> None:
    folder = of_single_experts(model, tmp_path)
    reason = r"of which PEFT makes target_parameters \(down_proj, gate_up_proj\) on this base model.* aurac slice and"
    with pytest.raises(AdapterError, match=reason):
        load_adapter(model(), folder)


@MODELS
def test_its_slices_are_prefixes_of_every_expert_for_plain_peft(model: Callable[[], Any], tmp_path: Path) -> None:
    folder = of_single_experts(model, tmp_path)
    tensors = load_file(folder / "adapter_model.safetensors")
    for key, tensor in tensors.items():
        if "lora_A" in key:
            tensor[2:] = 0
    sliced = PeftModel.from_pretrained(model(), export_slice(folder, 2, tmp_path / "slice"))
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    expected = PeftModel.from_pretrained(model(), folder)
    assert_same_function(logits(sliced), logits(expected))
    assert not torch.equal(logits(sliced), logits(model()))


@MODELS
def test_its_rotation_is_the_same_function_for_plain_peft(model: Callable[[], Any], tmp_path: Path) -> None:
    folder = of_single_experts(model, tmp_path)
    rotated = PeftModel.from_pretrained(model(), svd_rotate(folder, tmp_path / "rotated"))
    assert_same_function(logits(rotated), logits(PeftModel.from_pretrained(model(), folder)))


def test_half_of_what_is_one_tensor_is_refused_by_name(tmp_path: Path) -> None:
    folder = of_single_experts(qwen3_moe, tmp_path)
    tensors = load_file(folder / "adapter_model.safetensors")
    kept = {key: tensor for key, tensor in tensors.items() if "gate_proj" in key}
    save_file(kept, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "adapter_config.json").read_text()) | {"target_modules": ["gate_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(
        AdapterError, match=r"PEFT cannot load .* without also targeting up_proj because they are fused"
    ):
        load_adapter(qwen3_moe(), folder)


def test_experts_of_which_peft_makes_nothing_are_not_called_another_base_model(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"holds its experts in one tensor.* PEFT makes nothing of an adapter of"):
        load_adapter(qwen2_moe(), of_single_experts(qwen2_moe, tmp_path))


@MODELS
def test_adapters_of_its_attention_are_nested_as_those_of_other_models(model: Callable[[], Any]) -> None:
    method = Lora(max_rank=4)
    adapter = attach(get_peft_model(model(), method.lora_config(target_modules=["q_proj", "v_proj"])).eval(), method)
    randomise(adapter.model)
    full = logits(adapter.model)
    adapter.set_rank(2)
    assert not torch.equal(logits(adapter.model), full)
