"""torch.compile and quantised base models in a training."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters
from transformers import TrainingArguments

from aurac import testbed
from aurac.errors import ModelError
from aurac_adapters import DyLora, MatryoshkaLora, load_adapter, read_adapter
from aurac_adapters.base.model import load_base
from aurac_adapters.data.batches import packing_collator
from aurac_adapters.training import arguments
from aurac_adapters.training.trainer import train
from short_training import base_model, config, record, weights

# PEFT 0.21 still asks transformers 5.24 under an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


@pytest.mark.slow
@pytest.mark.parametrize("per_row", [False, True])
def test_one_graph_serves_all_ranks_of_a_compiled_training(
    per_row: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [json.loads(line) for line in testbed.TRAIN.read_text().splitlines()]
    same_length = [row for row in rows if len((row["prompt"] + row["completion"]).split()) == 8]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in same_length))
    method = DyLora(max_rank=8, per_row=per_row)
    assert {method.sampled_rank(step) for step in range(6)} == {1, 2, 4, 8}
    options = {"method": method, "data": str(data), "max_steps": 6, "checkpoint_steps": 4}
    plain = train(config(tmp_path / "plain", **options))
    # This backend runs the traced graph as it is; what is counted, the tracing, is the same for all backends.
    monkeypatch.setattr(arguments, "TrainingArguments", partial(TrainingArguments, torch_compile_backend="eager"))
    torch._dynamo.reset()
    counters.clear()
    compiled = train(config(tmp_path / "compiled", compile=True, **options))
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
    assert all(torch.equal(w, weights(compiled)[key]) for key, w in weights(plain).items())
    assert read_adapter(compiled / "checkpoints" / "checkpoint-4").method == method


@pytest.mark.parametrize("load_in", ["4bit", "8bit"])
def test_a_quantised_base_keeps_packed_examples_apart(load_in: str) -> None:
    pytest.importorskip("bitsandbytes")
    model, _ = load_base(str(testbed.MODEL), dtype=torch.float32, load_in=load_in)  # type: ignore[arg-type]
    assert packing_collator(model)


@pytest.mark.parametrize("load_in", ["4bit", "8bit"])
def test_a_quantised_base_trains_a_float32_adapter(load_in: str, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    model, _ = load_base(str(testbed.MODEL), dtype=torch.float32, load_in=load_in)  # type: ignore[arg-type]
    kinds = {type(module).__name__ for module in model.model.modules()}
    assert {"4bit": "Linear4bit", "8bit": "Linear8bitLt"}[load_in] in kinds
    assert "Linear" not in kinds

    method = MatryoshkaLora(max_rank=4)
    out, full = (
        train(config(tmp_path / str(bits), method=method, load_in=bits, max_steps=6)) for bits in (load_in, None)
    )
    assert {w.dtype for w in weights(out).values()} == {torch.float32}
    assert load_adapter(base_model(), out).method == method
    losses, exact = ([entry["loss"] for entry in record(folder)["losses"]] for folder in (out, full))
    assert losses == pytest.approx(exact, rel=0.05)  # 4 bits have steps of a tenth of the largest weight
    assert losses != exact
    assert record(out)["config"]["load_in"] == load_in


def test_quantisation_without_its_library_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aurac_adapters.base.model.find_spec", lambda _: None)
    message = r"load_in='4bit' needs bitsandbytes, which is not installed\. Install it \(pip install \"aurac\[quantized"
    with pytest.raises(ModelError, match=message):
        train(config(tmp_path / "out", load_in="4bit"))
    assert not (tmp_path / "out").exists()
