"""DyLoRA with a rank for each row of the batch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import get_peft_model
from scipy.stats import chisquare
from transformers import TrainingArguments

from aurac import testbed
from aurac.errors import AdapterError, TrainingError
from aurac_adapters import DyLora, Lora, NestedAdapter, read_adapter
from aurac_adapters.training.callbacks import MethodCallback
from aurac_adapters.training.trainer import train
from short_training import config, interrupted, record, weights
from tiny import TOKENS, checkpoint_activations, nested, tiny_llama
from tolerance import assert_same_function

# PEFT 0.21 still asks transformers 5.24 under an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

METHOD = DyLora(max_rank=8, scaling="sqrt", per_row=True)
ROWS = range(5, 8)  # the three rows of TOKENS, somewhere in a larger batch


def gradients(model: Any, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model(tokens, labels=tokens).loss.backward()
    return {name: w.grad.clone() for name, w in model.named_parameters() if w.grad is not None}


def gradients_at_rank(adapter: NestedAdapter, rank: int, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    """Gradients of a plain PEFT LoRA of that rank, cut from the adapter and filled up with zeros."""
    plain = get_peft_model(tiny_llama(torch.float64), Lora(max_rank=rank, scaling="sqrt").lora_config()).double()
    whole = adapter.model.state_dict()
    for name, weight in plain.named_parameters():
        if "lora_" in name:
            weight.data = whole[name][:rank].clone() if "lora_A" in name else whole[name][:, :rank].clone()
    filled = {}
    for name, gradient in gradients(plain.train(), tokens).items():
        filled[name] = torch.zeros_like(whole[name])
        (filled[name][:rank] if "lora_A" in name else filled[name][:, :rank]).copy_(gradient)
    return filled


def test_gradients_are_the_mean_of_each_row_alone_with_its_own_rank() -> None:
    ranks = [METHOD.sampled_rank(3, row) for row in ROWS]
    assert len(set(ranks)) > 1
    adapter = nested(METHOD, dtype=torch.float64)
    adapter.set_step(3, rows=ROWS)
    together = gradients(adapter.model.train(), TOKENS)
    alone = [gradients_at_rank(adapter, rank, TOKENS[i : i + 1]) for i, rank in enumerate(ranks)]
    for name, gradient in together.items():
        mean = torch.stack([each[name] for each in alone]).mean(dim=0)
        assert_same_function(gradient, mean, rounding=torch.float32)  # norms are in float32


def test_gradient_checkpointing_sees_the_same_ranks() -> None:
    adapter = nested(METHOD)
    adapter.set_step(3, rows=ROWS)
    plain = gradients(adapter.model.train(), TOKENS)
    checkpoint_activations(adapter.model)
    again = gradients(adapter.model, TOKENS)
    assert all(torch.equal(plain[name], again[name]) for name in plain)


def test_a_row_draws_from_seed_step_and_row_and_the_first_one_as_the_whole_step_would() -> None:
    drawn = np.array([[METHOD.sampled_rank(step, row) for row in range(16)] for step in range(150)])
    assert drawn[:, 0].tolist() == [replace(METHOD, per_row=False).sampled_rank(step) for step in range(150)]
    assert chisquare(np.bincount(drawn.ravel(), minlength=9)[[1, 2, 4, 8]]).pvalue > 0.001
    for row in (1, 7, 15):  # neighbours are independent: the joint draws of two rows are uniform as well
        pairs = np.unique(drawn[:, 0] * 10 + drawn[:, row], return_counts=True)[1]
        assert chisquare(pairs, [150 / 16] * 16).pvalue > 0.001


def test_a_step_of_several_passes_is_the_step_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "few.jsonl"
    data.write_text("".join(testbed.TRAIN.read_text().splitlines(keepends=True)[:13]))  # the second step has 5 rows
    seen: list[torch.Tensor] = []

    def keep(self: MethodCallback, *_: Any, **__: Any) -> None:
        weights = (w for _, w in self.adapter.model.named_parameters() if w.requires_grad)
        seen.append(torch.cat([w.grad.flatten() for w in weights]))

    monkeypatch.setattr(MethodCallback, "on_pre_optimizer_step", keep)
    for batch_size, passes in ((8, 1), (4, 2), (2, 4)):
        options = {"data": str(data), "max_steps": 2, "batch_size": batch_size, "gradient_accumulation": passes}
        train(config(tmp_path / str(passes), method=METHOD, **options))
    train(config(tmp_path / "whole-step", method=replace(METHOD, per_row=False), **options))
    for step in (0, 1):
        one, two, four, whole_step = seen[step::2]
        assert_same_function(two, one)
        assert_same_function(four, one)
        assert (whole_step - one).abs().max() > 1e-2


def test_an_interrupted_training_goes_on_to_the_same_adapter(tmp_path: Path) -> None:
    wanted = config(tmp_path / "out", method=METHOD, max_steps=4, checkpoint_steps=2, gradient_accumulation=2)
    interrupted(wanted, step=3)
    resumed = weights(train(wanted))
    whole = train(replace(wanted, out=tmp_path / "whole"))
    assert record(wanted.out)["resumed_from_step"] == 2
    assert all(torch.equal(w, resumed[key]) for key, w in weights(whole).items())
    assert read_adapter(whole).method == METHOD


def test_rows_that_were_not_set_are_an_error() -> None:
    adapter = nested(METHOD)
    adapter.set_step(0)
    with pytest.raises(AdapterError, match=r"1 ranks were set for a batch of 3 rows\. Give one rank a row"):
        adapter.model.train()(TOKENS)


def test_what_cannot_have_a_rank_for_each_row_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AdapterError, match=r"frozen lets a step change one row of A, .* Choose one of the two"):
        DyLora(max_rank=8, frozen=True, per_row=True)
    with pytest.raises(TrainingError, match=r"packing puts all examples .* ranks of their own \(per_row\)"):
        config(tmp_path, method=METHOD, packing=True)
    monkeypatch.setattr(TrainingArguments, "n_gpu", 2)
    with pytest.raises(TrainingError, match=r"2 GPUs in one process .* Start one process for each GPU with torchrun"):
        train(config(tmp_path, method=METHOD))


def test_an_older_adapter_and_an_older_record_have_one_rank_for_a_step(tmp_path: Path) -> None:
    wanted = config(tmp_path / "out", method=DyLora(max_rank=4))
    train(wanted)
    for name, holder in (("aurac_adapter.json", None), ("training.json", "method")):
        content = json.loads((wanted.out / name).read_text())
        if holder is None:
            assert "per_row" not in content
        else:
            assert "per_row" not in content["config"]["method"]
            del content["config"]["packing"]
        (wanted.out / name).write_text(json.dumps(content))
    assert read_adapter(wanted.out).method == wanted.method
    before = (wanted.out / "training.json").read_bytes()
    assert train(wanted) == wanted.out
    assert (wanted.out / "training.json").read_bytes() == before
