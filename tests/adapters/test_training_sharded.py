"""Two CPU processes that share out the weights with FSDP2 make the adapter that one process makes.

accelerate honours FSDP for GPU-like devices only; sharded_training.py makes it honour FSDP on CPUs, in its own process.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from aurac_adapters.training.trainer import train
from distributed_training import case, in_two_processes
from short_training import record, weights
from tolerance import assert_same_training

# PEFT 0.21 still asks transformers 5.24 under an old name.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")]

NAMES = ("lora", "matryoshka-packed", "learned-matryoshka", "dylora", "dylora-per-row", "dylora-checkpointed")
SETTINGS = {"batch_size": 2, "gradient_accumulation": 2}


def in_two_shards(folder: Path, *names: str, efficient_loading: bool = False, version: int = 2) -> None:
    """Train with the environment that `accelerate launch --use_fsdp` sets."""
    in_two_processes(
        "sharded_training.py",
        str(folder),
        json.dumps({"cases": names, **SETTINGS}),
        ACCELERATE_USE_FSDP="true",
        FSDP_VERSION=str(version),
        FSDP_AUTO_WRAP_POLICY="TRANSFORMER_BASED_WRAP",
        FSDP_CPU_RAM_EFFICIENT_LOADING=str(efficient_loading).lower(),
    )


def written_by(folder: Path, process: int) -> list[str]:
    return json.loads((folder / f"written-{process}.json").read_text())


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cases, trained by two processes in two passes of 2 rows a step."""
    folder = tmp_path_factory.mktemp("shards") / "sharded"
    in_two_shards(folder, *NAMES)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_sharded_weights_learn_what_whole_ones_learn(name: str, sharded: Path, tmp_path: Path) -> None:
    alone = train(case(name, tmp_path, batch_size=8))
    assert_same_training(weights(sharded / name), weights(alone))
    ours, theirs = record(sharded / name), record(alone)
    assert ours["n_processes"] == 2
    losses = [[entry["loss"] for entry in each["losses"]] for each in (ours, theirs)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)  # sums in float32


def test_only_the_first_process_writes_and_it_writes_whole_weights(sharded: Path) -> None:
    checkpoint = sharded / "dylora" / "checkpoints" / "checkpoint-2"
    assert (checkpoint / "pytorch_model_fsdp.bin").exists()  # so FSDP was on
    whole = weights(sharded / "dylora")
    assert {key: w.shape for key, w in weights(checkpoint).items()} == {key: w.shape for key, w in whole.items()}
    second = written_by(sharded.parent, 1)
    assert {Path(line.split(maxsplit=1)[1]).name for line in second} <= {"checkpoint-2", "rng_state_1.pth"}


@pytest.mark.parametrize("name", ["matryoshka-packed", "learned-matryoshka", "dylora"])
def test_a_sharded_training_goes_on_where_it_was_interrupted(name: str, sharded: Path, tmp_path: Path) -> None:
    shutil.copytree(sharded / name, tmp_path / name)
    content = record(tmp_path / name)
    (tmp_path / name / "training.json").write_text(json.dumps(content | {"status": "running"}))
    (tmp_path / name / "adapter_model.safetensors").unlink()
    in_two_shards(tmp_path, name)
    assert record(tmp_path / name)["resumed_from_step"] == 2
    resumed = weights(tmp_path / name)
    assert all(torch.equal(w, resumed[key]) for key, w in weights(sharded / name).items())


def test_the_first_process_alone_may_load_the_base_model(sharded: Path, tmp_path: Path) -> None:
    in_two_shards(tmp_path / "out", "matryoshka-packed", "dylora", efficient_loading=True)
    assert_same_training(weights(tmp_path / "out" / "dylora"), weights(sharded / "dylora"))
