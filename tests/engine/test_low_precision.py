"""Rounding never costs the fast path, and a wrong mask is found under it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from lm_eval.models.huggingface import HFLM

from aurac.harness.engine.lm import AuracLM
from aurac.harness.engine.precision import in_float32
from aurac.harness.engine.trial import _above_noise, _Way, random_queries, try_out
from engine_cases import requests, tiny_llama

Pair = tuple[AuracLM, HFLM]
ASKED = [(f"the cat {word * 9}", choice) for word in "abc" for choice in (" yes", " yes no", " no")]


@pytest.fixture(params=[torch.bfloat16, torch.float16])
def narrow(request: pytest.FixtureRequest, tokenizer: Any) -> Any:
    return tiny_llama(len(tokenizer), seed=2).to(request.param)


def test_inside_the_block_a_model_computes_in_float32_with_its_own_weights(narrow: Any) -> None:
    own = {name: weight.clone() for name, weight in narrow.state_dict().items()}
    wide = copy.deepcopy(narrow).float()
    ids = torch.arange(2, 40)[None]
    with torch.no_grad():
        before, wanted = narrow(ids).logits, wide(ids).logits
        with in_float32(narrow):
            found = narrow(ids).logits
        after = narrow(ids).logits
    assert torch.equal(found, wanted)
    assert not torch.equal(before.float(), wanted)
    assert torch.equal(before, after)
    assert all(torch.equal(weight, own[name]) for name, weight in narrow.state_dict().items())


def test_weights_come_back_after_an_error(narrow: Any) -> None:
    own = {name: weight.clone() for name, weight in narrow.state_dict().items()}
    with pytest.raises(IndexError), in_float32(narrow):
        narrow(torch.tensor([[10**6]]))
    assert all(torch.equal(weight, own[name]) for name, weight in narrow.state_dict().items())


def test_no_draw_of_tokens_leaves_the_fast_path(narrow: Any, pair_of: Callable[..., Pair]) -> None:
    ours, theirs = pair_of(narrow)
    assert [try_out(ours, random_queries(ours, seed), share=True) for seed in range(20)] == [None] * 20
    found = ours.loglikelihood(requests(*ASKED), disable_tqdm=True)
    assert ours.work.fallback is None
    assert ours.capability.level == "shared"
    wanted = theirs.loglikelihood(requests(*ASKED), disable_tqdm=True)
    # Both round to 8 or 11 bits, in products of other shapes.
    assert [value for value, _ in found] == pytest.approx([value for value, _ in wanted], rel=0.02, abs=0.5)


def ignores_masks(model: Any) -> None:
    plain = model.model.forward
    model.model.forward = lambda *args, attention_mask=None, **kwargs: plain(*args, **kwargs)  # noqa: ARG005


def moves_positions(model: Any) -> None:
    plain = model.model.forward

    def moved(*args: Any, position_ids: Any = None, **kwargs: Any) -> Any:
        late = None if position_ids is None else position_ids + (position_ids > 10).long()
        return plain(*args, position_ids=late, **kwargs)

    model.model.forward = moved


@pytest.mark.parametrize("fault", [ignores_masks, moves_positions])
@pytest.mark.filterwarnings("ignore:slower path")
def test_a_wrong_mask_or_position_is_found_under_the_rounding(
    fault: Callable[[Any], None], narrow: Any, pair_of: Callable[..., Pair]
) -> None:
    fault(narrow)
    ours, _ = pair_of(narrow)
    assert ours.capability.level == "rows"
    assert "a trial gave other numbers" in str(ours.capability.reason)


def test_where_float32_is_refused_the_models_own_noise_is_the_measure(
    narrow: Any, pair_of: Callable[..., Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Any) -> Any:
        raise RuntimeError("this layer takes no float32")

    monkeypatch.setattr("aurac.harness.engine.trial.in_float32", refuse)
    ours, _ = pair_of(narrow)
    assert ours.capability.level == "shared"
    ignores_masks(narrow)
    reason = _above_noise(_Way(ours, True, 8, None))
    assert str(reason).startswith("trials gave other numbers (off by ")
