"""What a few steps of training on transformers' Trainer make."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoTokenizer, Trainer, TrainingArguments, set_seed

from aurac import testbed
from aurac_adapters.data.dataset import load_examples, tokenize
from aurac_adapters.folder.folder import read_adapter
from aurac_adapters.folder.loading import load_adapter
from aurac_adapters.layer.nested import NestedAdapter
from aurac_adapters.methods import METHODS
from aurac_adapters.methods.dylora import DyLora
from aurac_adapters.methods.lora import Lora
from aurac_adapters.methods.matryoshka import MatryoshkaLora
from aurac_adapters.training import trainer as training
from aurac_adapters.training.trainer import train
from short_training import base_model, config, record, weights
from tolerance import assert_same_training

# PEFT 0.21 still asks transformers 5.24 under an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

TRAINABLE = [name for name in METHODS if METHODS[name].trainable]


@pytest.mark.parametrize("name", TRAINABLE)
def test_three_steps_make_a_folder_that_plain_peft_and_we_load(name: str, tmp_path: Path) -> None:
    method = METHODS[name](max_rank=4)
    out = train(config(tmp_path / "out", method=method))
    assert read_adapter(out).method == method
    assert load_adapter(base_model(), out).max_rank == 4
    PeftModel.from_pretrained(base_model(), out)
    trained = weights(out)
    assert len(trained) == 2 * 2 * 7  # A and B, two layers, seven linear maps
    assert all(tensor.any() for key, tensor in trained.items() if "lora_B" in key)


def test_plain_lora_is_what_peft_and_the_trainer_make_without_us(tmp_path: Path) -> None:
    out = train(config(tmp_path / "out"))
    tokenizer = AutoTokenizer.from_pretrained(testbed.MODEL)
    rows = tokenize(load_examples(str(testbed.TRAIN)), tokenizer, max_length=64).rows
    base = base_model()
    set_seed(42)
    model = get_peft_model(base, LoraConfig(r=4, lora_alpha=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    arguments = TrainingArguments(
        str(tmp_path / "plain"), max_steps=3, per_device_train_batch_size=8, learning_rate=1e-2, warmup_steps=0.05,
        optim="adamw_torch", use_cpu=True, report_to="none", save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    Trainer(model, arguments, train_dataset=rows, data_collator=training.collate).train()
    model.save_pretrained(tmp_path / "plain")
    ours, plain = weights(out), weights(tmp_path / "plain")
    assert ours.keys() == plain.keys()
    assert all(torch.equal(ours[key], plain[key]) for key in ours)


def test_the_matryoshka_diagonal_is_used_and_a_single_train_rank_is_lora(tmp_path: Path) -> None:
    def trained(name: str, method: Any) -> dict[str, torch.Tensor]:
        return weights(train(config(tmp_path / name, method=method)))

    lora = trained("lora", Lora(max_rank=4, scaling="sqrt"))
    single = trained("single", MatryoshkaLora(max_rank=4, train_ranks=[4], scaling="sqrt"))
    nested = trained("nested", MatryoshkaLora(max_rank=4, scaling="sqrt"))
    assert all(torch.equal(lora[key], single[key]) for key in lora)
    assert not any(torch.equal(lora[key], nested[key]) for key in lora)


def test_dylora_leaves_rows_beyond_the_drawn_ranks_as_they_began(tmp_path: Path) -> None:
    method = DyLora(max_rank=8, seed=4)
    drawn = [method.sampled_rank(step) for step in range(3)]
    assert max(drawn) < 8
    trained = weights(train(config(tmp_path / "out", method=method)))
    set_seed(42)
    initial = get_peft_model(base_model(), method.lora_config()).state_dict()
    for key, tensor in trained.items():
        begun = initial[key.replace(".weight", ".default.weight")]
        if "lora_A" in key:
            assert torch.equal(tensor[max(drawn) :], begun[max(drawn) :])
            assert not torch.equal(tensor[:1], begun[:1])
        else:
            assert not tensor[:, max(drawn) :].any()


def test_the_method_moves_once_for_each_optimizer_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    monkeypatch.setattr(NestedAdapter, "set_step", lambda _, step: steps.append(step))
    train(config(tmp_path / "out", gradient_accumulation=2))
    assert steps == [0, 1, 2]


def test_what_was_cut_is_reported_and_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = tmp_path / "data.jsonl"
    rows = [("nuzugo eats", " cabbage ."), ("nuzugo eats", " cabbage . . . ."), ("eats eats eats eats eats", " .")]
    data.write_text("".join(json.dumps({"prompt": p, "completion": c}) + "\n" for p, c in rows))
    out = train(config(tmp_path / "out", data=str(data), max_length=6, max_steps=1))
    assert "of 3 examples 1 were cut at max_length, and 1 left out because their prompt alone fills it" in caplog.text
    assert {k: v for k, v in record(out)["data"].items() if k != "sha256"} == {
        "n_examples": 3,
        "n_truncated": 1,
        "n_dropped": 1,
    }


def test_the_first_loss_is_the_base_models_on_the_completion_tokens(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("".join(testbed.TRAIN.read_text().splitlines(keepends=True)[-6:]))
    out = train(config(tmp_path / "out", data=str(data), max_steps=1, batch_size=3, gradient_accumulation=2))
    tokenizer, model = AutoTokenizer.from_pretrained(testbed.MODEL), base_model()
    losses: list[float] = []
    n_tokens = 0
    for line in data.read_text().splitlines():
        row = json.loads(line)
        tokens = tokenizer(row["prompt"] + row["completion"])["input_ids"] + [tokenizer.eos_token_id]
        n_tokens += len(tokens)
        with torch.no_grad():
            log_probabilities = model(torch.tensor([tokens])).logits[0].log_softmax(-1)  # (tokens, vocabulary)
        begin = 1 + len(row["prompt"].split())
        losses += [-log_probabilities[i - 1, tokens[i]].item() for i in range(begin, len(tokens))]
    assert len(losses) == 6 * 4  # two words, the full stop, the end of text
    (entry,) = record(out)["losses"]
    assert entry["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert record(out)["tokens"] == n_tokens


def test_the_record_holds_configuration_versions_and_outcome(tmp_path: Path) -> None:
    out = train(config(tmp_path / "out", method=MatryoshkaLora(max_rank=4, scaling="rank")))
    content = record(out)
    assert content["status"] == "finished"
    assert content["config"]["method"] == MatryoshkaLora(max_rank=4, scaling="rank").to_dict()
    assert content["config"]["learning_rate"] == 1e-2
    assert "out" not in content["config"]
    assert content["versions"]["torch"] == version("torch")
    assert content["commit"] is None or len(content["commit"].removesuffix("-dirty")) == 40
    assert content["steps"] == 3
    assert content["device"] == "cpu"
    assert content["train_seconds"] > 0
    assert [entry["step"] for entry in content["losses"]] == [1, 3]


def test_results_are_quiet_and_progress_goes_to_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(config(tmp_path / "out", progress=True))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "3/3" in printed.err
    assert "loss@3=" in printed.err  # with its step, since the bar shows it until the next is known
    assert "tokens/s=" in printed.err
    assert "{" not in printed.err


def test_gradient_checkpointing_changes_nothing(tmp_path: Path) -> None:
    method = DyLora(max_rank=4)
    plain = weights(train(config(tmp_path / "plain", method=method)))
    again = weights(train(config(tmp_path / "again", method=method, gradient_checkpointing=True)))
    assert_same_training(again, plain)


def test_a_bfloat16_base_trains_a_float32_adapter(tmp_path: Path) -> None:
    out = train(config(tmp_path / "out", dtype="bfloat16"))
    assert {tensor.dtype for tensor in weights(out).values()} == {torch.float32}
    full = weights(train(config(tmp_path / "full")))
    # bfloat16 keeps 8 bits; where a gradient is smaller than its rounding, Adam's steps of 0.01 have either sign.
    for key, tensor in weights(out).items():
        torch.testing.assert_close(tensor, full[key], rtol=2**-7, atol=0.05)


def test_the_seed_decides_the_adapter(tmp_path: Path) -> None:
    one, same = (weights(train(config(tmp_path / name, seed=7))) for name in ("one", "same"))
    other = weights(train(config(tmp_path / "other", seed=8)))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not any(torch.equal(one[key], other[key]) for key in one)
