"""Ranks as numpy has them, from one end to the other: whatever is written down holds Python's own numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aurac.errors import RankError
from aurac.harness.sweep import check_ranks
from aurac_adapters import DyLora, Lora, MatryoshkaLora, at_rank, export_slice, load_adapter, save_adapter
from tiny import logits, nested, tiny_llama

Make = Callable[..., Path]
FOUR, EIGHT = np.int64(4), np.int32(8)


@pytest.mark.parametrize(
    "method",
    [
        Lora(max_rank=EIGHT, seed=np.int64(3), gain=np.float32(2)),
        DyLora(max_rank=EIGHT, frozen=True),
        MatryoshkaLora(max_rank=EIGHT, train_ranks=np.array([1, 4, 8])),
    ],
    ids=lambda method: method.name,
)
def test_a_method_of_numpy_numbers_is_saved_and_read_again(method: Any, tmp_path: Path) -> None:
    assert json.loads(json.dumps(method.to_dict()))["max_rank"] == 8
    folder = save_adapter(nested(method), tmp_path / "adapter")
    assert load_adapter(tiny_llama(), folder).method == method


def test_slices_and_sub_ranks_take_them(make_foreign: Make, tmp_path: Path) -> None:
    folder = make_foreign()
    ours = load_adapter(tiny_llama(), folder)
    out = export_slice(folder, FOUR, tmp_path / "r4", pad_to=EIGHT)
    assert json.loads((out / "adapter_config.json").read_text())["r"] == 8
    ours.set_rank(4)
    expected = logits(ours.model)
    ours.set_rank(8)
    with at_rank(ours, FOUR):
        assert torch.equal(logits(ours.model), expected)


def test_the_sweep_takes_them_and_gives_python_numbers() -> None:
    ranks = check_ranks(np.array([4, 1, 4]), EIGHT)
    assert (ranks, {type(rank) for rank in ranks}) == ((1, 4), {int})


@pytest.mark.parametrize("rank", [1.5, np.float64(2), "2", True, None])
def test_what_is_no_whole_number_is_no_rank(rank: Any, make_foreign: Make, tmp_path: Path) -> None:
    with pytest.raises(RankError, match="is no whole number; ranks count columns"):
        check_ranks([rank], 8)
    with pytest.raises(RankError, match=r"is not a whole number\. Ranks count columns"):
        export_slice(make_foreign(), rank, tmp_path / "out")
