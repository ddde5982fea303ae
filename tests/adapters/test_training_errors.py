"""What a training refuses, and what it leaves behind when it stops."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aurac import testbed
from aurac.errors import AdapterError, DataError, ModelError, RankError, TrainingError, UnknownNameError
from aurac_adapters.folder.loading import load_adapter
from aurac_adapters.methods.dylora import DyLora
from aurac_adapters.methods.svd_lora import SvdLora
from aurac_adapters.training.callbacks import require_finite
from aurac_adapters.training.sharding import check_sharding
from aurac_adapters.training.trainer import train
from short_training import base_model, config, record

# PEFT 0.21 still asks transformers 5.24 under an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def test_a_loss_that_is_no_number_stops_the_training_and_keeps_the_checkpoints(tmp_path: Path) -> None:
    # The first step has learning rate 0 (warm-up), the second makes the weights huge, the third forward pass overflows.
    wanted = config(tmp_path / "out", learning_rate=1e30, checkpoint_steps=1)
    with pytest.raises(
        TrainingError, match=r"the loss is (nan|inf) at step 3\. Earlier checkpoints are kept in .*lower"
    ):
        train(wanted)
    assert record(wanted.out)["status"] == "running"
    assert (wanted.out / "checkpoints" / "checkpoint-1" / "aurac_adapter.json").exists()
    assert not (wanted.out / "adapter_model.safetensors").exists()


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    adapter = load_adapter(base_model(), train(config(tmp_path / "out")), is_trainable=True)
    require_finite(adapter, 3)
    next(p for p in adapter.model.parameters() if p.requires_grad).data[0, 0] = float("nan")
    with pytest.raises(TrainingError, match=r"after step 3 the weight .*lora_A.* is not finite"):
        require_finite(adapter, 3)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"target_modules": r".*\.v_prj"},
            UnknownNameError,
            r"unknown target module '\.\*\\\\\.v_prj'\. .*Known: down_proj",
        ),
        ({"target_modules": "(q_proj"}, AdapterError, r"the target modules '\(q_proj' are no regular expression: miss"),
        (
            {"target_modules": ("input_layernorm",)},
            AdapterError,
            r"PEFT cannot put LoRA on \('input_layernorm',\): Target module LlamaRMSNorm.* is not supported",
        ),
        ({"target_modules": ("q_proj", "v_prj")}, UnknownNameError, r"target module 'v_prj'\. Did you mean 'v_proj'"),
        (
            {"model": "no/such/folder"},
            ModelError,
            r"no such base model folder: no/such/folder\. Give",
        ),
        ({"model": "no-such/model"}, ModelError, r"cannot load the base model no-such/model: .*safetensors weights"),
        ({"data": "no-such.jsonl"}, DataError, r"no such data file: no-such\.jsonl"),
        ({"report_to": ("wandbb",)}, UnknownNameError, r"unknown tracker 'wandbb'\. Did you mean 'wandb'"),
        ({"report_to": ("wandb",)}, TrainingError, r"the tracker wandb is not installed\. Install its library"),
        ({"max_length": 3}, DataError, r"all \d+ prompts have 3 tokens or more"),
    ],
)
def test_bad_input_is_one_clear_error_and_leaves_no_folder(
    changes: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        train(config(tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()


def test_a_prompt_longer_than_the_context_of_the_model_is_left_out_or_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data.jsonl"
    long = json.dumps({"prompt": " ".join(["eats"] * 500), "completion": " cabbage"}) + "\n"
    data.write_text(long + json.dumps({"prompt": "eats", "completion": " cabbage"}) + "\n")
    out = train(config(tmp_path / "out", data=str(data), max_steps=1))
    assert record(out)["data"]["n_dropped"] == 1
    assert "1 left out because their prompt alone fills it" in caplog.text
    data.write_text(long)
    with pytest.raises(DataError, match=r"all 1 prompts have 64 tokens or more, .*the model's context permitting"):
        train(config(tmp_path / "none", data=str(data)))


def test_an_empty_data_set_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text("\n\n")
    with pytest.raises(DataError, match=r"data\.jsonl holds no example; at least one is needed"):
        train(config(tmp_path / "out", data=str(tmp_path / "data.jsonl")))


def test_a_truncated_base_model_is_one_clear_error(tmp_path: Path) -> None:
    shutil.copytree(testbed.MODEL, tmp_path / "model")
    whole = (testbed.MODEL / "model.safetensors").read_bytes()
    (tmp_path / "model" / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"cannot load the base model .*model"):
        train(config(tmp_path / "out", model=str(tmp_path / "model")))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["learning_rate", "epochs", "batch_size", "gradient_accumulation", "max_steps"])
def test_a_number_that_cannot_be_meant_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=f"{name} is 0; it must be greater than 0"):
        config(tmp_path, **{name: 0})


@pytest.mark.parametrize(("name", "value", "near"), [("dtype", "bfloat", "bfloat16"), ("load_in", "4bits", "4bit")])
def test_a_kind_of_numbers_that_is_not_known_is_refused(name: str, value: str, near: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown {name} '{value}'. Did you mean '{near}'"):
        config(tmp_path, **{name: value})


def test_methods_say_at_the_door_what_they_refuse(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="svd-lora is made from a trained adapter"):
        config(tmp_path, method=SvdLora(max_rank=4))
    with pytest.raises(RankError, match="train rank 8 is out of range"):
        config(tmp_path, method=DyLora(max_rank=4, train_ranks=[8]))


@pytest.mark.parametrize(
    ("deepspeed", "version", "changes", "message"),
    [
        (
            True,
            None,
            {},
            r"DeepSpeed was asked for, .* not be saved\. Start with torchrun, .* --use_fsdp --fsdp_version 2",
        ),
        (False, 1, {}, r"FSDP version 1 was asked for; only version 2 was tried.*--fsdp_version 2"),
        (False, 2, {"load_in": "4bit"}, r"a base in 4bit was asked for with FSDP, .*Start with torchrun, .*in full"),
        (False, 2, {"method": DyLora(max_rank=4, frozen=True)}, r"frozen DyLoRA was asked for with FSDP, .*torchrun"),
    ],
)
def test_ways_to_share_out_weights_that_would_go_wrong_are_refused(
    deepspeed: bool, version: int | None, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    # What accelerate makes of the user's wishes on GPUs only.
    plugin = None if version is None else SimpleNamespace(fsdp_version=version)
    trainer: Any = SimpleNamespace(
        is_deepspeed_enabled=deepspeed,
        is_fsdp_enabled=version is not None,
        accelerator=SimpleNamespace(state=SimpleNamespace(fsdp_plugin=plugin)),
    )
    with pytest.raises(TrainingError, match=message):
        check_sharding(trainer, config(tmp_path, **changes))
