"""How an interrupted training goes on, and which folders a training leaves alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aurac import testbed
from aurac.errors import RecordError
from aurac_adapters.folder.folder import read_adapter
from aurac_adapters.methods import METHODS
from aurac_adapters.methods.dylora import DyLora
from aurac_adapters.methods.matryoshka import MatryoshkaLora
from aurac_adapters.training import trainer as training
from aurac_adapters.training.trainer import train
from short_training import config, interrupted, record, weights

# PEFT 0.21 still asks transformers 5.24 under an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

TRAINABLE = [name for name in METHODS if METHODS[name].trainable]


@pytest.mark.parametrize("name", TRAINABLE)
def test_an_interrupted_training_goes_on_to_the_same_adapter(name: str, tmp_path: Path) -> None:
    wanted = config(
        tmp_path / "out", method=METHODS[name](max_rank=4), max_steps=6, checkpoint_steps=2, gradient_accumulation=2
    )
    interrupted(wanted, step=5)
    assert record(wanted.out)["status"] == "running"
    train(wanted)
    whole = train(replace(wanted, out=tmp_path / "whole"))
    assert record(wanted.out)["resumed_from_step"] == 4
    assert record(whole)["resumed_from_step"] is None
    assert [entry["loss"] for entry in record(wanted.out)["losses"]] == [e["loss"] for e in record(whole)["losses"]]
    assert record(wanted.out)["tokens"] == record(whole)["tokens"]
    resumed = weights(wanted.out)
    assert all(torch.equal(tensor, resumed[key]) for key, tensor in weights(whole).items())


def test_an_interruption_across_epochs_is_no_different(tmp_path: Path) -> None:
    data = tmp_path / "few.jsonl"
    data.write_text("".join(testbed.TRAIN.read_text().splitlines(keepends=True)[:20]))
    wanted = config(tmp_path / "out", data=str(data), max_steps=None, epochs=3, checkpoint_steps=4)
    interrupted(wanted, step=6)  # 3 steps an epoch
    resumed = weights(train(wanted))
    whole = weights(train(replace(wanted, out=tmp_path / "whole")))
    assert record(wanted.out)["steps"] == 9
    assert all(torch.equal(tensor, resumed[key]) for key, tensor in whole.items())


def test_checkpoints_are_adapter_folders_and_the_last_two_are_kept(tmp_path: Path) -> None:
    method = MatryoshkaLora(max_rank=4)
    out = train(config(tmp_path / "out", method=method, max_steps=5, checkpoint_steps=1))
    kept = sorted(path.name for path in (out / "checkpoints").iterdir())
    assert kept == ["checkpoint-3", "checkpoint-4"]  # the adapter itself is the state after step 5
    assert all(read_adapter(out / "checkpoints" / name).method == method for name in kept)


def test_a_checkpoint_whose_saving_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    wanted = config(tmp_path / "out", max_steps=6, checkpoint_steps=2)
    interrupted(wanted, step=5)
    (wanted.out / "checkpoints" / "checkpoint-4" / "aurac_adapter.json").unlink()
    train(wanted)
    assert record(wanted.out)["resumed_from_step"] == 2
    resumed = weights(wanted.out)
    whole = weights(train(replace(wanted, out=tmp_path / "whole")))
    assert all(torch.equal(tensor, resumed[key]) for key, tensor in whole.items())


def test_a_finished_training_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = config(tmp_path / "out")
    train(wanted)
    monkeypatch.setattr(training, "load_base", lambda *_, **__: pytest.fail("trained again"))
    assert train(replace(wanted, progress=True, checkpoint_steps=7)) == wanted.out
    assert "holds this training, finished; it is left as it is" in caplog.text


def test_another_training_in_the_folder_is_refused_and_its_differences_named(tmp_path: Path) -> None:
    train(config(tmp_path / "out"))
    before = (tmp_path / "out" / "training.json").read_bytes()
    with pytest.raises(
        RecordError, match=r"learning_rate is 0\.01 there and 0\.02 here, seed is 42 there and 1 here\."
    ):
        train(config(tmp_path / "out", learning_rate=2e-2, seed=1))
    with pytest.raises(RecordError, match=r"method\.method is lora there and dylora here.*Give a new folder"):
        train(config(tmp_path / "out", method=DyLora(max_rank=4)))
    assert (tmp_path / "out" / "training.json").read_bytes() == before


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(
        RecordError, match="holds something that is no training of aurac; give a new or an empty folder"
    ):
        train(config(tmp_path))
    with pytest.raises(RecordError, match=r"notes\.txt is a file; give a new or an empty folder"):
        train(config(tmp_path / "notes.txt"))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text('{"status": "run')
    with pytest.raises(RecordError, match=r"training\.json is damaged \(JSONDecodeError.*delete this one"):
        train(config(tmp_path))


def test_data_that_changed_since_the_interruption_are_refused(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    shutil.copy(testbed.TRAIN, data)
    wanted = config(tmp_path / "out", data=str(data), checkpoint_steps=1)
    interrupted(wanted, step=2)
    data.write_text("".join(data.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(RecordError, match="the data have changed since this training began; train into a new folder"):
        train(wanted)
