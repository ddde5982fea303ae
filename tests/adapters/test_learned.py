"""A method with parameters of its own: learned with the factors, kept in the folder, exported through its diagonal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftModel
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

from aurac.errors import AdapterError
from aurac_adapters import convert_checkpoint, export_merged, export_slice, load_adapter, read_adapter
from aurac_adapters.export.convert import Given
from aurac_adapters.methods.learned import LearnedMatryoshka
from aurac_adapters.methods.lora import Lora
from aurac_adapters.training.trainer import train
from short_training import base_model, config, interrupted, weights
from tiny import TOKENS, logits, nested, tiny_llama
from tolerance import assert_near, assert_same_function

Make = Callable[..., Path]
# PEFT 0.21 still asks transformers 5.24 under an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
THETA = np.array([-1.0, 0.5, 2.0, -3.0, 0.0, 1.0, -0.5, -2.0], dtype=np.float32)
LEARNED = LearnedMatryoshka(max_rank=8, scaling="sqrt").with_parameters({"theta": THETA})
P = np.log1p(np.exp(THETA.astype(np.float64)))[::-1].cumsum()[::-1]  # sum over j >= i of softplus(theta_j)


def theta(folder: Path) -> np.ndarray:
    return load_file(folder / "aurac_method.safetensors")["theta"]


@given(st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=12))
def test_the_learned_diagonal_falls_and_stays_positive(values: list[float]) -> None:
    method = LearnedMatryoshka(max_rank=len(values)).with_parameters({"theta": np.array(values, dtype=np.float32)})
    p = method.training_diagonal(0)
    assert (p > 0).all()
    assert (np.diff(p) <= 0).all()


def test_the_diagonal_is_the_sum_that_is_documented() -> None:
    np.testing.assert_allclose(LEARNED.training_diagonal(0), P, rtol=1e-6)
    np.testing.assert_allclose(LEARNED.inference_diagonal(3, "trained"), [*P[:3], 0, 0, 0, 0, 0], rtol=1e-6)
    first = LearnedMatryoshka(max_rank=4, scaling="rank", gain=2.0).training_diagonal(0)
    np.testing.assert_allclose(first, [0.5, 0.375, 0.25, 0.125], rtol=1e-6)  # from s_R = 2/4 to s_R / 4


def test_settings_are_compared_and_what_was_learned_is_not() -> None:
    assert LearnedMatryoshka(max_rank=8, scaling="sqrt") == LEARNED
    assert "theta" not in LEARNED.to_dict()
    assert_near(replace(LEARNED, seed=1).parameters["theta"], LearnedMatryoshka(8, scaling="sqrt").parameters["theta"])


def test_gradients_go_through_the_gate_to_the_parameters() -> None:
    adapter = nested(LEARNED, dtype=torch.float64, inference="trained")
    own = adapter.model.get_parameter("aurac_default.theta")
    assert own in set(adapter.model.parameters())
    adapter.model.train()
    adapter.set_step(0)
    adapter.model(TOKENS, labels=TOKENS).loss.backward()
    moved = []
    for sign in (1, -1):  # the derivative by central differences of the loss, in float64
        shifted = THETA.astype(np.float64) + sign * 1e-2 * np.eye(8)[2]
        there = nested(LEARNED, dtype=torch.float64)
        there.model.get_parameter("aurac_default.theta").data = torch.tensor(shifted)
        there.model.train()
        with torch.no_grad():
            moved.append(there.model(TOKENS, labels=TOKENS).loss.item())
    assert own.grad is not None
    # Llama's norms are in float32, which a difference over 0.02 makes 50 times larger.
    assert own.grad[2].item() == pytest.approx((moved[0] - moved[1]) / 2e-2, rel=5e-3)


def test_evaluation_follows_what_was_learned_meanwhile() -> None:
    adapter = nested(LearnedMatryoshka(max_rank=8))
    assert adapter.inference == "trained"
    before = logits(adapter.model.eval())
    adapter.set_step(0)
    with torch.no_grad():
        adapter.model.get_parameter("aurac_default.theta").copy_(torch.tensor(THETA))
    after = logits(adapter.model)
    assert not torch.allclose(before, after, rtol=1e-2)  # another function
    fresh = nested(LearnedMatryoshka(max_rank=8).with_parameters({"theta": THETA}))
    assert_same_function(after, logits(fresh.model))
    assert_same_function(after, logits(adapter.model.train()))


def test_a_folder_keeps_what_was_learned_and_plain_peft_reads_the_rest(make_folder: Make) -> None:
    folder = make_folder(LEARNED)
    assert (theta(folder) == THETA).all()
    assert not [key for key in weights(folder) if "theta" in key]
    found = read_adapter(folder)
    assert (found.method, found.inference) == (LEARNED, "trained")
    ours = load_adapter(tiny_llama(), folder)
    for rank in (1, 5, 8):
        ours.set_rank(rank)
        before = nested(LEARNED)
        before.set_rank(rank)
        assert torch.equal(logits(ours.model), logits(before.model))
    ours = load_adapter(tiny_llama(), folder, inference="prefix")
    assert torch.equal(logits(ours.model), logits(PeftModel.from_pretrained(tiny_llama(), folder)))


@pytest.mark.parametrize("rank", [1, 4, 8])
def test_slices_and_merged_models_have_the_learned_function(rank: int, make_folder: Make, tmp_path: Path) -> None:
    folder = make_folder(LEARNED)
    ours = load_adapter(tiny_llama(), folder)
    ours.set_rank(rank)
    plain = PeftModel.from_pretrained(tiny_llama(), export_slice(folder, rank, tmp_path / "slice"))
    assert_same_function(logits(plain), logits(ours.model))
    tiny_llama().save_pretrained(tmp_path / "base")
    base = str(tmp_path / "base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aurac_adapters.export.merged.load_base", lambda *_, **__: (tiny_llama(), Tokenizer()))
        merged = AutoModelForCausalLM.from_pretrained(export_merged(folder, rank, tmp_path / "merged", base=base))
    assert_same_function(logits(merged), logits(ours.model))


class Tokenizer:
    """Stands where a tokenizer would."""

    def save_pretrained(self, _: Path) -> None: ...


def rewrite(folder: Path, **tensors: Any) -> None:
    save_file({name: np.asarray(value, dtype=np.float32) for name, value in tensors.items()},
              folder / "aurac_method.safetensors")  # fmt: skip
    sidecar = folder / "aurac_adapter.json"
    content = json.loads(sidecar.read_text())
    digest = sha256((folder / "aurac_method.safetensors").read_bytes()).hexdigest()
    sidecar.write_text(json.dumps(content | {"parameters_sha256": digest}))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"theta": np.zeros(7)}, r"theta of method 'learned-matryoshka' has shape \(7,\); it must have \(8,\)"),
        ({"theta": np.full(8, np.nan)}, r"theta of method 'learned-matryoshka' .* hold finite numbers"),
        ({"phi": np.zeros(8)}, r"method 'learned-matryoshka' learns theta; given were phi"),
    ],
)
def test_parameters_that_cannot_be_those_of_the_method_are_refused(
    tensors: dict[str, np.ndarray], message: str, make_folder: Make
) -> None:
    folder = make_folder(LEARNED)
    rewrite(folder, **tensors)
    with pytest.raises(AdapterError, match=rf"aurac_method.safetensors: {message}"):
        read_adapter(folder)


def test_files_that_are_missing_damaged_or_of_another_adapter_are_refused(make_folder: Make) -> None:
    folder = make_folder(LEARNED)
    file = folder / "aurac_method.safetensors"
    save_file({"theta": THETA + 1}, file)
    with pytest.raises(AdapterError, match=r"is of another adapter than aurac_adapter.json beside it"):
        read_adapter(folder)
    rewrite(folder, theta=THETA)
    assert read_adapter(folder).method == LEARNED
    file.write_bytes(b"no tensors")
    sidecar = folder / "aurac_adapter.json"
    digest = sha256(b"no tensors").hexdigest()
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"parameters_sha256": digest}))
    with pytest.raises(AdapterError, match=r"aurac_method.safetensors is damaged or no safetensors file"):
        read_adapter(folder)
    file.unlink()
    with pytest.raises(
        AdapterError, match=r"lacks aurac_method.safetensors, what method learned-matryoshka has learned"
    ):
        read_adapter(folder)


def test_training_moves_the_diagonal_and_an_interrupted_one_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    wanted = config(tmp_path / "out", method=LearnedMatryoshka(max_rank=4), max_steps=6, checkpoint_steps=2)
    interrupted(wanted, step=5)
    checkpoint = wanted.out / "checkpoints" / "checkpoint-4"
    assert (theta(checkpoint) != wanted.method.parameters["theta"]).all()
    train(wanted)
    whole = train(replace(wanted, out=tmp_path / "whole"))
    assert (theta(wanted.out) == theta(whole)).all()
    assert (theta(whole) != theta(checkpoint)).any()
    assert all(torch.equal(tensor, weights(wanted.out)[key]) for key, tensor in weights(whole).items())
    trained = load_adapter(base_model(), whole)
    assert_near(trained.method.training_diagonal(0), read_adapter(whole).method.training_diagonal(0))


def test_what_an_adapter_of_other_makers_cannot_have_is_not_made_up(tmp_path: Path) -> None:
    given = Given(base="base", method="learned-matryoshka", layout="loralib")
    torch.save({"q.lora_A": torch.ones(2, 3), "q.lora_B": torch.ones(3, 2)}, tmp_path / "checkpoint.pt")
    with pytest.raises(
        AdapterError, match=r"'learned-matryoshka' learns parameters of its own, which no checkpoint of"
    ):
        convert_checkpoint(tmp_path / "checkpoint.pt", tmp_path / "out", given)


def test_a_method_without_parameters_takes_none() -> None:
    assert Lora(max_rank=4).parameters == {}
    with pytest.raises(AdapterError, match=r"method 'lora' learns no parameters; given were theta"):
        Lora(max_rank=4).with_parameters({"theta": THETA})
