"""The authors' protocol against their published formulas, in their orientation: A (in, r), B (r, out)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import get_peft_model
from scipy.stats import kstest
from transformers import TrainingArguments

from aurac.errors import AdapterError, TrainingError, UnknownNameError
from aurac_adapters import DyLora, Lora, MatryoshkaLora, NestedMethod
from aurac_adapters.data.dataset import IGNORED, Example, load_examples, tokenize
from aurac_adapters.data.styles import AUTHORS, PROMPT_STYLES, STANDARD
from aurac_adapters.training.arguments import training_arguments
from aurac_adapters.training.callbacks import MethodCallback
from aurac_adapters.training.config import INITS
from aurac_adapters.training.protocols import PROTOCOLS
from aurac_adapters.training.trainer import train
from short_training import config, interrupted, record, weights
from tiny import nested, tiny_llama

# PEFT 0.21 still asks transformers 5.24 under an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

SCALES = {"one": lambda _: 1.0, "rank": lambda r: 1 / r, "sqrt": lambda r: 1 / math.sqrt(r)}
RANKS = [1, 2, 4, 8]


def published_update(
    x: torch.Tensor, a: torch.Tensor, b: torch.Tensor, *, method: str, scale: Any, drawn: int
) -> torch.Tensor:
    """What the layer adds to W0 x in training; x (batch, in), a (in, r), b (r, out)."""
    if method == "lora":
        return scale(8) * ((x @ a) @ b)
    if method == "dylora":
        return scale(drawn) * ((x @ a[:, :drawn]) @ b[:drawn])
    if method == "binary":
        return sum(scale(r) / len(RANKS) * ((x @ a[:, :r]) @ b[:r]) for r in RANKS)  # type: ignore[return-value]
    # Algorithm 1: P_i is the sum of the scales of all train ranks that reach row i.
    p = torch.tensor([sum(scale(r) for r in RANKS if r >= i) for i in range(1, 9)], dtype=a.dtype)
    return x @ (a * p) @ b


CASES: dict[str, Any] = {
    "lora": lambda scaling: Lora(max_rank=8, scaling=scaling),
    "dylora": lambda scaling: DyLora(max_rank=8, scaling=scaling, per_pass=True),
    "diag": lambda scaling: MatryoshkaLora(max_rank=8, scaling=scaling),
    "binary": lambda scaling: MatryoshkaLora(max_rank=8, scaling=scaling, normalize=True),
}


@pytest.mark.parametrize("scaling", SCALES)
@pytest.mark.parametrize("case", CASES)
def test_forward_gradient_and_a_step_of_adamw_are_those_of_the_published_formulas(case: str, scaling: str) -> None:
    method: NestedMethod = CASES[case](scaling)
    adapter = nested(method, dtype=torch.float64)
    layer = adapter.model.train().base_model.model.model.layers[0].mlp.down_proj  # (64 -> 32)
    ours = [layer.lora_A["default"].weight, layer.lora_B["default"].weight]
    theirs = [weight.detach().T.clone().requires_grad_() for weight in ours]
    optimizers = [torch.optim.AdamW(each, lr=1e-2, weight_decay=0.0) for each in (ours, theirs)]
    generator = torch.Generator().manual_seed(1)
    for number in range(3):  # several, so that the moments of AdamW take part
        x = torch.randn(5, 64, generator=generator, dtype=torch.float64)
        wanted = torch.randn(5, 32, generator=generator, dtype=torch.float64)
        adapter.set_step(number)
        drawn = method.sampled_rank(number) if isinstance(method, DyLora) else 0
        update = published_update(x, *theirs, method=case, scale=SCALES[scaling], drawn=drawn)
        outputs = [layer(x), layer.base_layer(x) + update]
        # rounding of float64 in sums of another order
        torch.testing.assert_close(*outputs, rtol=1e-10, atol=1e-12)
        for output, optimizer in zip(outputs, optimizers, strict=True):
            optimizer.zero_grad()
            ((output - wanted) ** 2).mean().backward()
        for mine, published in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine.grad, published.grad.T, rtol=1e-9, atol=1e-12)
        for optimizer in optimizers:
            optimizer.step()
        for mine, published in zip(ours, theirs, strict=True):
            # AdamW divides by the root of the second moment: tiny gradients are magnified
            torch.testing.assert_close(mine.detach(), published.detach().T, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_served_ranks_are_the_published_prefixes(case: str) -> None:
    adapter = nested(CASES[case]("sqrt"), dtype=torch.float64)
    layer = adapter.model.base_model.model.model.layers[0].mlp.down_proj
    a, b = layer.lora_A["default"].weight.detach().T, layer.lora_B["default"].weight.detach().T
    x = torch.randn(5, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for rank in RANKS:
        adapter.set_rank(rank)
        expected = layer.base_layer(x) + ((x @ a[:, :rank]) @ b[:rank]) / math.sqrt(rank)
        torch.testing.assert_close(layer(x), expected, rtol=1e-10, atol=1e-12)


def test_a_begins_uniform_up_to_one_over_the_root_of_the_rank_and_b_at_zero() -> None:
    model = get_peft_model(tiny_llama(hidden=64), Lora(max_rank=4).lora_config())
    by_peft = torch.cat([w.detach().flatten() for name, w in model.named_parameters() if "lora_A" in name])
    INITS["authors"](model)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            assert not weight.any()
    drawn = torch.cat([w.detach().flatten() for name, w in model.named_parameters() if "lora_A" in name])
    # U(-1/2, 1/2) for rank 4, whatever the layer's width; PEFT: U(±1/8) for 64 inputs
    assert kstest(drawn.numpy(), "uniform", args=(-0.5, 1.0)).pvalue > 1e-3
    assert by_peft.abs().max() <= 1 / 8


def test_the_draw_is_the_one_of_torch_for_the_authors_shape() -> None:
    model = get_peft_model(tiny_llama(), Lora(max_rank=8).lora_config(target_modules=["embed_tokens", "down_proj"]))
    embedding = model.get_input_embeddings().lora_embedding_A["default"].clone()
    torch.manual_seed(3)
    INITS["authors"](model)
    torch.manual_seed(3)
    for layer in model.base_model.model.model.layers:
        published = torch.nn.init.kaiming_uniform_(torch.zeros(64, 8), a=math.sqrt(5))
        assert torch.equal(layer.mlp.down_proj.lora_A["default"].weight.T, published)
    assert torch.equal(model.get_input_embeddings().lora_embedding_A["default"], embedding)


def test_every_pass_of_a_step_draws_its_own_rank_and_a_resumed_training_the_same(tmp_path: Path) -> None:
    adapter = nested(DyLora(max_rank=8, per_pass=True))
    method = adapter.method
    assert isinstance(method, DyLora)
    callback = MethodCallback(adapter)
    arguments = TrainingArguments(str(tmp_path), gradient_accumulation_steps=3, use_cpu=True, report_to="none")
    seen = []
    for step in range(4):
        state: Any = type("State", (), {"global_step": step})
        callback.on_step_begin(arguments, state, None)  # type: ignore[arg-type]
        seen.append(adapter.state.step)
        for _ in range(2):
            callback.on_substep_end(arguments, state, None)  # type: ignore[arg-type]
            seen.append(adapter.state.step)
    assert seen == list(range(12))
    assert len({method.sampled_rank(number) for number in seen}) > 1


def test_an_interrupted_training_by_pass_becomes_the_same_adapter(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "method": DyLora(max_rank=4, per_pass=True),
        "gradient_accumulation": 2,
        "batch_size": 4,
        "max_steps": 4,
        "checkpoint_steps": 2,
    }
    whole = weights(train(config(tmp_path / "whole", **options)))
    again = config(tmp_path / "again", **options)
    interrupted(again, 3)
    resumed = weights(train(again))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    by_step = weights(train(config(tmp_path / "step", **options | {"method": DyLora(max_rank=4)})))
    assert any(not torch.equal(whole[key], by_step[key]) for key in whole)


def test_a_rank_for_each_pass_and_for_each_row_exclude_each_other() -> None:
    with pytest.raises(AdapterError, match=r"per_row draws a rank for each row, per_pass one for all rows of a pass"):
        DyLora(max_rank=8, per_row=True, per_pass=True)


@pytest.mark.parametrize(("adapter_dtype", "expected"), [("float32", torch.float32), ("base", torch.bfloat16)])
def test_weights_of_the_adapter_are_in_float32_or_in_the_type_of_the_base(
    adapter_dtype: str, expected: torch.dtype, tmp_path: Path
) -> None:
    out = train(config(tmp_path / "out", dtype="bfloat16", adapter_dtype=adapter_dtype))
    assert {tensor.dtype for tensor in weights(out).values()} == {expected}


def test_in_bfloat16_most_of_a_does_not_move_in_small_steps(tmp_path: Path) -> None:
    def moved(dtype: str, max_steps: int) -> dict[str, torch.Tensor]:
        options = {"dtype": "bfloat16", "adapter_dtype": dtype, "init": "authors", "learning_rate": 8e-5}
        return weights(
            train(config(tmp_path / f"{dtype}-{max_steps}", max_steps=max_steps, warmup_ratio=0.0, **options))
        )

    share = {}
    for dtype in ("float32", "base"):
        early, late = moved(dtype, 1), moved(dtype, 3)
        pairs = [(early[key], late[key]) for key in early if "lora_A" in key]
        share[dtype] = np.mean([(a != b).float().mean().item() for a, b in pairs])
    assert share["base"] < 0.5 < share["float32"]  # a step of 8e-5 is below half a unit in the last place from 0.04 on


def test_the_learning_rate_begins_at_its_peak_without_a_warm_up(tmp_path: Path) -> None:
    with_none = training_arguments(config(tmp_path / "a", warmup_ratio=0.0, max_steps=100), bfloat16=False)
    usual = training_arguments(config(tmp_path / "b", max_steps=100), bfloat16=False)
    assert (with_none.get_warmup_steps(100), usual.get_warmup_steps(100)) == (0, 5)


class Letters:
    """Every letter is a token; <s> is 0, </s> 1."""

    eos_token_id = 1

    def __call__(self, texts: list[str], *, add_special_tokens: bool, **_: bool) -> dict[str, list[list[int]]]:
        return {"input_ids": [[*([0] if add_special_tokens else []), *map(ord, text)] for text in texts]}


def test_apart_means_that_the_completion_is_tokenised_without_a_beginning_and_ends_with_the_end_of_text() -> None:
    (row,) = tokenize([Example("ab ", "c", apart=True)], Letters(), max_length=9).rows
    assert row == {"input_ids": [0, 97, 98, 32, 99, 1], "labels": [IGNORED] * 4 + [99, 1]}


def test_prompts_of_the_authors_style_are_those_of_their_code() -> None:
    assert AUTHORS.answered("2 + 3?", "5") == ("Question: 2 + 3?\nAnswer: ", "5")
    assert STANDARD.answered("2 + 3?", "5") == ("Question: 2 + 3?\nAnswer:", " 5")
    assert AUTHORS.answered("Which?", "two", [("A", "one"), ("B", "two")]) == (
        "Question: Which?\nA. one\nB. two\nAnswer: ", "two",
    )  # fmt: skip
    assert AUTHORS.instruction("Add.", "2 3") == "### Instruction:\nAdd.\n\n### Input:\n2 3\n\n### Response:\n"
    assert AUTHORS.instruction("Add.", "") == "### Instruction:\nAdd.\n\n### Response:\n"


def test_a_file_takes_the_style_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"instruction": "Add.", "output": "5"}\n')
    assert load_examples(str(path), "authors") == [Example(AUTHORS.instruction("Add.", None), "5", apart=True)]
    path.write_text('{"prompt": "a", "completion": " b"}\n')
    assert load_examples(str(path), "authors") == [Example("a", " b", apart=True)]
    with pytest.raises(UnknownNameError, match=r"unknown prompt style 'author'. Did you mean 'authors'"):
        load_examples(str(path), "author")


def test_the_protocol_sets_all_of_it_and_what_is_given_wins() -> None:
    authors = PROTOCOLS["authors"]
    options = authors.options({"max_length": 100})
    assert options == {
        "init": "authors", "adapter_dtype": "base", "dtype": "bfloat16", "prompt_style": "authors", "max_length": 100,
        "warmup_ratio": 0.0, "batch_size": 4, "gradient_accumulation": 8,
    }  # fmt: skip
    assert authors.switches("dylora", {}) == {"per_pass": True}
    assert authors.switches("dylora", {"per_pass": False}) == {"per_pass": False}
    assert authors.switches("dylora", {"per_row": True}) == {"per_row": True}
    assert authors.switches("matryoshka", {}) == {}
    assert PROTOCOLS["standard"].options({}) == {}


@pytest.mark.parametrize("style", PROMPT_STYLES)
def test_every_style_trains(style: str, tmp_path: Path) -> None:
    assert record(train(config(tmp_path / "out", prompt_style=style)))["status"] == "finished"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"warmup_ratio": 1.0}, TrainingError, r"warmup_ratio is 1.0; it is a share of the steps, from 0 to below 1"),
        ({"init": "author"}, UnknownNameError, r"unknown init 'author'. Did you mean 'authors'"),
        ({"adapter_dtype": "bfloat16"}, UnknownNameError, r"unknown adapter_dtype 'bfloat16'.* Known: base, float32"),
        ({"adapter_dtype": "base", "load_in": "4bit"}, TrainingError, r"a base in 4bit have no type that an adapter"),
        (
            {"prompt_style": "authors", "chat_template": True},
            TrainingError,
            r"a chat template writes the prompts itself, so prompt_style 'authors' has no effect",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        config(tmp_path / "out", **options)


def test_records_of_trainings_from_before_these_options_are_still_the_same_training(tmp_path: Path) -> None:
    identity = config(tmp_path / "out").identity()
    assert not {"init", "adapter_dtype", "prompt_style", "warmup_ratio"} & identity.keys()
    assert config(tmp_path / "out", init="authors").identity()["init"] == "authors"
