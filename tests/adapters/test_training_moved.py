"""How much of A moved: recorded with every training, said where it is little."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from aurac_adapters.training.moved import first_factors, share_moved
from aurac_adapters.training.trainer import train
from short_training import config, record


def test_the_share_counts_the_numbers_of_all_a_and_of_nothing_else() -> None:
    before = {
        "one.lora_A.default.weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
        "two.lora_A.default.weight": torch.tensor([[5.0, 6.0, 7.0, 8.0]]),
        "one.lora_B.default.weight": torch.zeros(2, 2),
    }
    drawn = first_factors(before)
    before["one.lora_A.default.weight"][0, 0] += 1  # the weights move in place, what was drawn does not
    before["one.lora_B.default.weight"] += 1
    assert share_moved(drawn, before) == 1 / 8


def test_an_adapter_without_a_has_no_share() -> None:
    assert share_moved({}, {"one.lora_B.default.weight": torch.zeros(2, 2)}) is None


def test_in_float32_all_of_a_moves_but_the_first_step_and_nothing_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    moved = record(train(config(tmp_path / "out")))["share_of_a_moved"]
    assert moved > 0.9  # B is zero in the first step, and a dead unit may have no gradient later
    assert "moved" not in caplog.text


def test_steps_that_bfloat16_loses_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lost = config(tmp_path / "out", learning_rate=1e-6, dtype="bfloat16", adapter_dtype="base")
    moved = record(train(lost))["share_of_a_moved"]
    # A step of 1e-6 reaches the next number only where a weight is smaller than 2^8 * 1e-6 = 0.0003, of about 0.1.
    assert moved < 0.02
    assert "% of the numbers in A moved" in caplog.text
    assert "--adapter-dtype" in caplog.text
