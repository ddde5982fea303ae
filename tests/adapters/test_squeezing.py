"""LoRA-Squeeze: a trained adapter, truncated to a rank and trained on; its first weights against a rotated slice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from aurac import testbed
from aurac.errors import AdapterError, AuracError, OptionError, RankError, RecordError, TrainingError
from aurac_adapters import DyLora, Lora, MatryoshkaLora, export_slice, read_adapter, read_ranked, svd_rotate
from aurac_adapters.folder.spent import spent_on
from aurac_adapters.training import trainer
from aurac_adapters.training.squeezing import Truncation, read_schedule, stages, train_squeezed
from aurac_adapters.training.start import load_truncated, read_start
from aurac_adapters.training.trainer import TrainingConfig, train
from short_training import config, record, weights
from tiny import logits, nested, randomise, tiny_llama
from tolerance import assert_same_function


def tiny_config(start: Path, rank: int, **options: Any) -> TrainingConfig:
    method = Lora(max_rank=rank, **options)
    return TrainingConfig(method=method, model="tiny", data="gsm8k", out=Path("out"), start=start)


def by_peft(path: Path, **options: Any) -> Path:
    model = get_peft_model(tiny_llama(), LoraConfig(**{"r": 8, "lora_alpha": 4, "task_type": "CAUSAL_LM", **options}))
    randomise(model)
    model.save_pretrained(path, save_embedding_layers=False)
    return path


LAYOUTS: dict[str, dict[str, Any]] = {
    "plain": {"target_modules": "all-linear"},
    "rslora": {"target_modules": ["q_proj", "up_proj"], "use_rslora": True},
    "ranks by layer": {"target_modules": ["q_proj", "up_proj"], "rank_pattern": {"layers.0.self_attn.q_proj": 2}},
    "factors by layer": {"target_modules": ["q_proj", "v_proj"], "alpha_pattern": {"v_proj": 40}},
    "embeddings": {"target_modules": ["embed_tokens", "q_proj"]},
    "dropout": {"target_modules": ["q_proj"], "lora_dropout": 0.5},
    "whole layers beside it": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("scaling", ["one", "sqrt"])
def test_training_begins_with_the_best_update_of_the_rank_whatever_the_layout(
    layout: str, scaling: str, tmp_path: Path
) -> None:
    theirs = by_peft(tmp_path / "theirs", **LAYOUTS[layout])
    wanted = tiny_config(theirs, 4, scaling=scaling)
    start = read_start(wanted)
    assert start is not None
    begun = load_truncated(tiny_llama(), start, wanted)
    svd_rotate(theirs, tmp_path / "rotated")
    cut = PeftModel.from_pretrained(tiny_llama(), export_slice(tmp_path / "rotated", 4, tmp_path / "cut"))
    assert_same_function(logits(begun.model.eval()), logits(cut))
    assert begun.method == wanted.method
    trained = {name: weight for name, weight in begun.model.named_parameters() if "lora_" in name}
    assert all(weight.requires_grad and 4 in weight.shape for weight in trained.values())
    begun.model.train()
    assert torch.equal(logits(begun.model), logits(begun.model))  # nothing is dropped out


@pytest.mark.parametrize("inference", ["prefix", "trained"])
def test_a_nested_adapter_is_squeezed_as_the_function_that_its_folder_serves(
    inference: str, make_folder: Callable[..., Path]
) -> None:
    folder = make_folder(MatryoshkaLora(max_rank=8), inference=inference)
    wanted = tiny_config(folder, 8)
    start = read_start(wanted)
    assert start is not None
    begun = load_truncated(tiny_llama(), start, wanted)
    whole = nested(MatryoshkaLora(max_rank=8), inference=inference)
    assert_same_function(logits(begun.model.eval()), logits(whole.model))


def test_a_rank_that_a_layer_does_not_have_begins_like_a_new_one_and_can_learn(tmp_path: Path) -> None:
    theirs = by_peft(tmp_path / "theirs", **LAYOUTS["ranks by layer"])
    wanted = tiny_config(theirs, 4)
    start = read_start(wanted)
    assert start is not None
    begun = load_truncated(tiny_llama(), start, wanted)
    layer = begun.model.base_model.model.model.layers[0].self_attn.q_proj
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    assert torch.equal(b[:, 2:], torch.zeros(32, 2))
    assert (a[2:].abs().amax(dim=1) > 0).all()
    assert a[2:].abs().max() <= 32**-0.5  # as PEFT draws them: U(-1/sqrt(in), 1/sqrt(in)), in = 32
    begun.model.train()(torch.tensor([[1, 2, 3]]), labels=torch.tensor([[1, 2, 3]])).loss.backward()
    assert (b.grad[:, 2:].abs().amax(dim=0) > 0).all()


def test_weights_are_of_the_type_that_was_asked_for(tmp_path: Path) -> None:
    theirs = by_peft(tmp_path / "theirs", target_modules=["q_proj"])
    for asked, dtype in (("float32", torch.float32), ("base", torch.bfloat16)):
        wanted = TrainingConfig(
            method=Lora(max_rank=2), model="tiny", data="gsm8k", out=Path("out"), start=theirs, adapter_dtype=asked
        )
        start = read_start(wanted)
        assert start is not None
        begun = load_truncated(tiny_llama(torch.bfloat16), start, wanted)
        assert {w.dtype for name, w in begun.model.named_parameters() if "lora_" in name} == {dtype}


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(config(tmp_path_factory.mktemp("first") / "lora"))


@pytest.fixture(scope="module")
def squeezed(lora: Path) -> Path:
    """A curve of two ranks, each trained on from the same adapter."""
    out = lora.parent / "squeezed"
    for rank in (1, 2):
        train(config(out / f"rank-{rank}", method=Lora(max_rank=rank), max_steps=2, start=lora))
    return out


def test_the_folder_says_what_it_began_with_and_what_the_whole_way_took(lora: Path, squeezed: Path) -> None:
    digest, own, whole = read_adapter(lora).sha256, record(squeezed / "rank-1"), record(lora)
    assert json.loads((squeezed / "rank-1/aurac_adapter.json").read_text())["training"] == {"start": digest}
    assert own["config"]["start"] == digest
    about = {"method": "lora", "max_rank": 4, "sha256": digest, "training_tokens": whole["tokens"]}
    assert own["start"] == {"path": str(lora), **about}
    assert own["steps"] == 2
    assert own["training_tokens"] == whole["tokens"] + own["tokens"]
    assert read_adapter(squeezed / "rank-1").base_model == str(testbed.MODEL)


def test_a_curve_of_squeezed_adapters_costs_the_first_training_once_and_all_further_steps(
    lora: Path, squeezed: Path, tmp_path: Path
) -> None:
    tokens = {rank: record(squeezed / f"rank-{rank}")["tokens"] for rank in (1, 2)}
    found = read_ranked(squeezed)
    assert found.method.to_dict()["method"] == "squeeze-lora"
    assert found.training == {"start": read_adapter(lora).sha256}
    assert spent_on(found) == record(lora)["tokens"] + tokens[1] + tokens[2]
    rotated = read_adapter(svd_rotate(squeezed / "rank-2", tmp_path / "rotated"))
    assert spent_on(rotated) == record(lora)["tokens"] + tokens[2]
    again = read_adapter(svd_rotate(tmp_path / "rotated", tmp_path / "again"))
    assert spent_on(again) == spent_on(rotated)
    assert spent_on(read_adapter(by_peft(tmp_path / "foreign", target_modules=["q_proj"]))) is None


def test_the_same_training_is_left_alone_and_one_from_another_adapter_is_refused(
    lora: Path, squeezed: Path, tmp_path: Path
) -> None:
    before = (squeezed / "rank-1/adapter_model.safetensors").stat().st_mtime_ns
    again = config(squeezed / "rank-1", method=Lora(max_rank=1), max_steps=2, start=lora)
    assert train(again) == squeezed / "rank-1"
    assert (squeezed / "rank-1/adapter_model.safetensors").stat().st_mtime_ns == before
    other = svd_rotate(lora, tmp_path / "other")
    with pytest.raises(RecordError, match=r"holds another training: start is \w+ there and \w+ here"):
        train(config(squeezed / "rank-1", method=Lora(max_rank=1), max_steps=2, start=other))


def test_training_that_goes_on_sees_the_data_in_another_order(
    lora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    collate = trainer.collate

    def watched(rows: Any) -> Any:
        seen.append(repr(rows))
        return collate(rows)

    monkeypatch.setattr(trainer, "collate", watched)
    orders = {}
    for rank, start in ((4, None), (2, lora), (1, lora)):
        seen.clear()
        train(config(tmp_path / f"{rank}", method=Lora(max_rank=rank), max_steps=2, start=start))
        orders[rank] = tuple(seen)
    assert len({*orders.values()}) == 3


def test_adapters_that_go_back_to_different_trainings_are_no_curve(lora: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    train(config(mixed / "rank-2", method=Lora(max_rank=2), max_steps=2, start=lora))
    train(config(mixed / "rank-1", method=Lora(max_rank=1), max_steps=2, start=svd_rotate(lora, tmp_path / "other")))
    with pytest.raises(AdapterError, match=r"rank-1 and .*rank-2 go back to different first trainings. Squeeze all"):
        read_ranked(mixed)


def test_a_schedule_of_ranks_leaves_a_curve_for_one_path_of_steps(tmp_path: Path) -> None:
    whole = config(tmp_path / "out", max_steps=4)
    out = train_squeezed(whole, read_schedule("2@2,1@3"))
    found = read_ranked(out)
    assert found.own_ranks == (1, 2, 4)
    assert found.method.to_dict()["method"] == "squeeze-lora"
    records = {rank: record(out / f"rank-{rank}") for rank in found.own_ranks}
    assert {rank: about["steps"] for rank, about in records.items()} == {4: 2, 2: 1, 1: 1}
    assert records[1]["start"]["sha256"] == read_adapter(out / "rank-2").sha256
    assert records[1]["training_tokens"] == sum(about["tokens"] for about in records.values()) == spent_on(found)
    assert found.training == {"start": found.members[4].sha256, "gradual": 1}
    assert weights(out / "rank-1").keys() == weights(out / "rank-4").keys()


@pytest.mark.parametrize(
    ("changes", "schedule", "message"),
    [
        ({}, "4@1", r"goes through the ranks 4, 4; each must be below the one before"),
        ({}, "2@2,3@1", r"goes through the ranks 4, 2, 3"),
        ({}, "2@2,1@2", r"stages that end at the steps 2, 2, 3; each must be above the one before"),
        ({}, "2@3", r"stages that end at the steps 3, 3; .* the last one is that of the whole training"),
        ({"max_steps": None}, "2@3", r"counts steps, and their number was not given. Give max_steps"),
        ({"method": DyLora(max_rank=4)}, "2@3", r"trains plain LoRA, and method dylora was given. Give lora"),
    ],
)
def test_a_schedule_that_cannot_be_is_an_error_before_anything_starts(
    changes: dict[str, Any], schedule: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=message):
        stages(config(tmp_path, **changes), read_schedule(schedule))


@pytest.mark.parametrize("text", ["", "4", "4@", "@4", "4@0", "0@4", "4@nan", "4@1.5", "4@1;2@2"])
def test_a_text_that_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"is no list of RANK@STEP, such as 8@60,4@80"):
        read_schedule(text)
    assert read_schedule("8@60, 4@80") == (Truncation(8, 60), Truncation(4, 80))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"method": Lora(max_rank=8)}, RankError, r"rank 8 is above the rank 4 of .*lora. Give a rank from 1 to 4"),
        ({"method": DyLora(max_rank=2)}, TrainingError, r"begins with an adapter trains plain LoRA, and method dylora"),
        ({"init": "authors"}, TrainingError, r"init 'authors' says how A is drawn, but the training begins with"),
        ({"max_steps": 0}, TrainingError, r"max_steps is 0; it must be greater than 0"),
        ({"target_modules": ("q_proj",)}, AdapterError, r"has the layer .*, which the target modules q_proj do not"),
        ({"target_modules": r".*q_proj"}, AdapterError, r"do not name; its own layers are trained on. Leave them out"),
        ({"model": "someone/other"}, None, ""),
    ],
)
def test_what_cannot_be_trained_on_is_one_error(
    changes: dict[str, Any], error: type[AuracError] | None, message: str, lora: Path, tmp_path: Path
) -> None:
    def read() -> Any:
        return read_start(config(tmp_path / "out", **{"method": Lora(max_rank=2), "start": lora, **changes}))

    if error is None:  # a name on the hub may well be the folder that the adapter names
        assert read() is not None
        return
    with pytest.raises(error, match=message):
        read()
    assert not (tmp_path / "out").exists()


def test_an_adapter_of_another_base_model_is_refused(lora: Path, tmp_path: Path) -> None:
    tiny_llama().save_pretrained(tmp_path / "base")
    with pytest.raises(AdapterError, match=r"is an adapter of .*, and the model is .*base. Train on that base model"):
        read_start(config(tmp_path / "out", method=Lora(max_rank=2), start=lora, model=str(tmp_path / "base")))
    theirs = by_peft(tmp_path / "theirs", target_modules=["q_proj"])
    wanted = config(tmp_path / "out", method=Lora(max_rank=2), start=theirs, model="someone/other")
    named = json.loads((theirs / "adapter_config.json").read_text()) | {"base_model_name_or_path": "someone/one"}
    (theirs / "adapter_config.json").write_text(json.dumps(named))
    with pytest.raises(AdapterError, match=r"is an adapter of someone/one, and the model is someone/other"):
        read_start(wanted)


def test_a_folder_of_one_adapter_for_each_rank_is_no_start(squeezed: Path, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"holds one adapter for each rank. Give one of them"):
        read_start(config(tmp_path / "out", start=squeezed))
