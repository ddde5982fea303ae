"""benchmarks/training_cost.py measures what it says, on a model that is too small for the numbers to mean anything."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "training_cost.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("training_cost", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["training_cost"] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def test_every_method_is_timed_against_plain_peft_of_its_rank(script: ModuleType) -> None:
    times = script.measure_times(script.SHAPES["tiny"], torch.device("cpu"), rounds=6, ranks=(2, 8))
    assert list(times) == ["2", "8"]
    for rank, found in times.items():
        assert list(found["methods"]) == ["peft", "lora", "matryoshka", "dylora", "slices"]
        assert found["methods"]["peft"]["ratio_to_peft"]["median"] == 1
        assert found["methods"]["lora"]["repeats"] == 6
        assert found["methods"]["slices"]["repeats"] == 1
        assert found["sweep"]["ranks"] == {"2": [1, 2], "8": [1, 2, 4, 8]}[rank]
        assert found["sweep"]["repeats"] == 2
    table = script.table({"times": times, "memory": {}})
    assert table.count("\n| ") == 10
    assert "of the sum of plain LoRA's at the 4 ranks [1, 2, 4, 8]" in table


def test_adapters_that_take_turns_train_only_the_one_whose_turn_it_is(script: ModuleType) -> None:
    bench = script.Bench(script.SHAPES["tiny"], torch.device("cpu"))
    names = [bench.add_plain(2), bench.add_nested(script.METHODS["matryoshka"](max_rank=4)), bench.add_slices(4)]

    def factors(name: str) -> torch.Tensor:
        parameters = bench.model.named_parameters()
        return torch.cat([weight.detach().flatten() for key, weight in parameters if f".{name}." in key])

    before = {name: factors(name) for name in names}
    for turn in names:
        bench.time(turn, 0)
        moved = [name for name in names if not torch.equal(factors(name), before[name])]
        assert moved == [turn]
        before = {name: factors(name) for name in names}


def test_memory_is_that_of_one_method_alone(script: ModuleType) -> None:
    found = script.memory_of(script.SHAPES["tiny"], torch.device("cpu"), "dylora-4")
    assert found["peak_bytes"] >= found["bytes_before_the_first_step"] > 0
