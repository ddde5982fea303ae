"""Two processes make the adapter that one process makes of the same batches."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from aurac_adapters.training.trainer import train
from distributed_training import CASES, case, in_two_processes
from short_training import record, weights
from tolerance import assert_same_training

# PEFT 0.21 still asks transformers 5.24 under an old name.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")]


def written_by(folder: Path, process: int) -> list[str]:
    return json.loads((folder / f"written-{process}.json").read_text())


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cases, trained by two processes in two passes of 2 rows a step."""
    folder = tmp_path_factory.mktemp("processes") / "both"
    in_two_processes(
        "distributed_training.py",
        str(folder),
        json.dumps({"cases": list(CASES), "batch_size": 2, "gradient_accumulation": 2}),
    )
    return folder


@pytest.mark.parametrize("name", CASES)
def test_two_processes_make_the_adapter_of_one(name: str, both: Path, tmp_path: Path) -> None:
    alone = train(case(name, tmp_path, batch_size=8))
    assert_same_training(weights(both / name), weights(alone))
    ours, theirs = record(both / name), record(alone)
    assert ours["n_processes"] == 2
    assert ours["tokens"] == theirs["tokens"]
    losses = [[entry["loss"] for entry in each["losses"]] for each in (ours, theirs)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)  # sums in float32


def test_two_processes_go_on_where_two_were_interrupted(both: Path, tmp_path: Path) -> None:
    name = "dylora-per-row"
    shutil.copytree(both / name, tmp_path / name)
    content = record(tmp_path / name)
    (tmp_path / name / "training.json").write_text(json.dumps(content | {"status": "running"}))
    (tmp_path / name / "adapter_model.safetensors").unlink()
    in_two_processes(
        "distributed_training.py",
        str(tmp_path),
        json.dumps({"cases": [name], "batch_size": 2, "gradient_accumulation": 2}),
    )
    assert record(tmp_path / name)["resumed_from_step"] == 2
    resumed = weights(tmp_path / name)
    assert all(torch.equal(w, resumed[key]) for key, w in weights(both / name).items())


def test_only_the_first_process_writes(both: Path) -> None:
    second = written_by(both.parent, 1)
    # Each process keeps the state of its own random numbers in a checkpoint.
    assert {Path(line.split(maxsplit=1)[1]).name for line in second} <= {"checkpoint-2", "rng_state_1.pth"}
    assert any("adapter_model.safetensors" in line for line in written_by(both.parent, 0))
