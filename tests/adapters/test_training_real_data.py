"""Training on real GSM8K text with a real small model, offline, through the named set."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import datasets
import pytest
import torch
from transformers import AutoModelForCausalLM

from aurac_adapters.folder.loading import load_adapter
from aurac_adapters.methods.dylora import DyLora
from aurac_adapters.training.trainer import train
from short_training import config, record


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_a_few_steps_on_gsm8k_with_stories260k(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    layout = [sys.executable, shared / "data" / "make_offline_hub.py", tmp_path, "--only", "openai/gsm8k"]
    subprocess.run(layout, check=True, capture_output=True)
    # `datasets` takes a folder of the set's name in the working directory before it asks the hub.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    model = shared / "models" / "stories260K"
    method = DyLora(max_rank=8)
    out = train(
        config(tmp_path / "out", method=method, model=str(model), data="gsm8k", max_steps=5, learning_rate=5e-3)
    )

    data = record(out)["data"]
    assert data["n_examples"] == 7473  # shared/data/README.md
    assert 0 < data["n_truncated"] < 7473  # a vocabulary of 512 makes these texts long, the context is 512 tokens
    assert 0 < data["n_dropped"] < data["n_truncated"]
    assert f"of 7473 examples {data['n_truncated']} were cut at max_length" in caplog.text
    assert record(out)["losses"][-1]["loss"] < record(out)["losses"][0]["loss"]

    adapter = load_adapter(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), out)
    assert adapter.method == method
    with torch.no_grad():
        logits = []
        for rank in (1, 8):
            adapter.set_rank(rank)
            logits.append(adapter.model.eval()(torch.arange(1, 9)[None]).logits)
    assert not torch.allclose(*logits)
