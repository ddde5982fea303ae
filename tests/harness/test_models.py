"""Base models: loaded, identified, refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance

from aurac.errors import ModelError, UnknownNameError
from aurac.harness import ENGINES
from aurac.harness.identity import base_identity, folder_sha256, hardware, versions
from aurac.harness.model import load_base, resolve_dtype


@pytest.fixture
def copy(base_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base_folder, tmp_path / "model"))


def test_a_folder_is_loaded_in_the_dtype_asked_for(base_folder: Path) -> None:
    model, tokenizer = load_base(str(base_folder), "bfloat16", "cpu")
    assert model.dtype == torch.bfloat16
    assert not model.training
    assert tokenizer.encode("the sky")


def test_auto_is_the_dtype_of_the_config(copy: Path) -> None:
    assert resolve_dtype(str(copy)) == "float32"
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}))
    assert resolve_dtype(str(copy)) == "bfloat16"
    assert resolve_dtype(str(copy), "float16") == "float16"
    with pytest.raises(UnknownNameError, match=r"unknown dtype 'float23'\. Did you mean 'float32'"):
        resolve_dtype(str(copy), "float23")


def test_a_missing_folder_and_a_model_out_of_reach_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no such model folder: .*nowhere\. Give the base model's folder or hub name"):
        load_base(str(tmp_path / "nowhere"), "float32")
    with pytest.raises(ModelError, match=r"the model 'nobody/model' cannot be loaded: .*run once with network access"):
        load_base("nobody/model", "float32")
    with pytest.raises(ModelError, match=r"the model 'nobody/model' cannot be loaded"):
        base_identity("nobody/model")
    with pytest.raises(ModelError, match=r"is no model folder: it has no config\.json\. Give another with --base\."):
        load_base(str(tmp_path), "float32")


def test_pickled_weights_are_refused(copy: Path) -> None:
    model, _ = load_base(str(copy), "float32", "cpu")
    (copy / "model.safetensors").unlink()
    torch.save(model.state_dict(), copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"holds its weights as pickles \(\.bin\), which can run code"):
        load_base(str(copy), "float32")


def test_truncated_weights_are_one_sentence(copy: Path) -> None:
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"the model in .*model cannot be loaded: "):
        load_base(str(copy), "float32")


def test_a_folder_is_identified_by_its_content(copy: Path, base_folder: Path) -> None:
    identity = base_identity(str(copy))
    assert identity == {"name_or_path": str(copy), "sha256": folder_sha256(base_folder)}
    (copy / "README.md").write_text("x")
    assert base_identity(str(copy)) == identity
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer, indent=1))
    assert base_identity(str(copy)) != identity


def test_versions_and_hardware_are_plain_data() -> None:
    assert {"aurac", "lm_eval", "torch", "python"} <= set(versions())
    assert json.dumps(versions())
    about = hardware("cpu")
    assert about["device"] == "cpu"
    assert about["threads"] >= 1


def test_the_plain_engine_is_registered_and_computes_the_softmax_in_float32(base_folder: Path) -> None:
    model, tokenizer = load_base(str(base_folder), "bfloat16", "cpu")
    lm: Any = ENGINES["hflm"].around(model, tokenizer, batch_size=2)
    assert lm.softmax_dtype == torch.float32
    assert lm.batch_size == 2


def test_both_engines_read_requests_that_divide_one_text_differently_at_the_right_positions(base_folder: Path) -> None:
    """With its cache of logits, lm-eval 0.4.13 reads the first positions of the longer continuation for the shorter."""
    model, tokenizer = load_base(str(base_folder), "float32", "cpu")
    asked = [
        Instance("loglikelihood", doc={}, arguments=arguments, idx=i)
        for i, arguments in enumerate([("the sky is", " red blue"), ("the sky is red", " blue")])
    ]
    around = {name: engine.around for name, engine in ENGINES.items() if engine.around}
    found = {name: make(model, tokenizer).loglikelihood(asked) for name, make in around.items()}
    alone = [around["hflm"](model, tokenizer).loglikelihood([request])[0][0] for request in asked]
    for answers in found.values():
        assert [value for value, _ in answers] == pytest.approx(alone, rel=1e-4)  # float32, in other batches


def test_the_plain_engine_says_nothing_of_batch_sizes(base_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model, tokenizer = load_base(str(base_folder), "float32", "cpu")
    lm = ENGINES["hflm"].around(model, tokenizer, batch_size="auto:4")
    capfd.readouterr()
    lm.loglikelihood([Instance("loglikelihood", doc={}, arguments=("the sky is", " red"), idx=0)])
    assert capfd.readouterr() == ("", "")
