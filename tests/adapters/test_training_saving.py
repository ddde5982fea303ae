"""Disks that are full and processes that are killed while a checkpoint is saved."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from aurac.errors import AdapterError, TrainingError
from aurac_adapters import DyLora, load_adapter
from aurac_adapters.folder.folder import read_adapter
from aurac_adapters.training.trainer import TrainingConfig, train
from short_training import base_model, config, record, weights

# PEFT 0.21 still asks transformers 5.24 under an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

SIDECAR_WRITER = "aurac_adapters.training.callbacks.write_sidecar"
TORCH = RuntimeError("PytorchStreamWriter failed writing file data/7")
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def wanted(folder: Path, **changes: Any) -> TrainingConfig:
    return config(folder, **({"method": DyLora(max_rank=4), "max_steps": 5, "checkpoint_steps": 2} | changes))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """Return what the training makes when nothing happens."""
    return weights(train(wanted(tmp_path_factory.mktemp("whole") / "out")))


def fails_at(call: int, original: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    calls = 0

    def failing(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls >= call:
            raise error
        return original(*args, **kwargs)

    return failing


@pytest.mark.parametrize(
    ("target", "call", "error", "folder"),
    [
        ("peft.peft_model.safe_save_file", 2, FULL, "checkpoints/checkpoint-4"),
        ("aurac_adapters.training.trainer.save_adapter", 1, FULL, ""),
        # What torch makes of a full disk.
        pytest.param("torch.save", 5, TORCH, "checkpoints/checkpoint-4", marks=pytest.mark.slow),
        pytest.param(SIDECAR_WRITER, 2, FULL, "checkpoints/checkpoint-4", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_is_one_error_with_the_folder_and_earlier_checkpoints_stay_whole(
    target: str,
    call: int,
    error: Exception,
    folder: str,
    whole: dict[str, torch.Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = wanted(tmp_path / "out")
    with monkeypatch.context() as patched:
        module, _, name = target.rpartition(".")
        original = getattr(sys.modules[module], name)
        patched.setattr(target, fails_at(call, original, error))
        message = rf"cannot save to {plan.out / folder}: .*(No space left|failed writing).* Earlier checkpoints"
        with pytest.raises(TrainingError, match=message):
            train(plan)
    assert load_adapter(base_model(), plan.out / "checkpoints/checkpoint-2").method == plan.method
    assert all(torch.equal(w, weights(train(plan))[key]) for key, w in whole.items())
    assert record(plan.out)["resumed_from_step"] == (4 if folder == "" else 2)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a small file system, where that is allowed."""
    mounted: list[Path] = []

    def make(size: str) -> Path:
        disk = tmp_path / "disk"
        disk.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], capture_output=True)
        if done.returncode != 0:
            pytest.skip("mounting a small disk needs root")
        mounted.append(disk)
        return disk

    yield make
    for disk in mounted:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [250, 300, 350])  # one checkpoint takes about 220
def test_a_disk_that_is_really_full(kilobytes: int, small_disk: Callable[[str], Path]) -> None:
    disk = small_disk(f"{kilobytes}k")
    plan = wanted(disk / "out")
    with pytest.raises(TrainingError, match=rf"cannot save to {disk}/out/checkpoints/checkpoint-4: "):
        train(plan)
    assert read_adapter(plan.out / "checkpoints/checkpoint-2").method == plan.method
    subprocess.run(["mount", "-o", "remount,size=2m", str(disk)], check=True)
    train(plan)
    assert record(plan.out)["resumed_from_step"] == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "during_step", "left"),
    [
        ("adapter_config.json", 3, 2),  # the first files of checkpoint-4
        ("trainer_state.json", 3, 2),  # among the last ones
        ("aurac_adapter.json", 3, 2),  # the sidecar, which makes a checkpoint complete
        ("adapter_model.safetensors", 4, 4),  # the finished adapter is put in place
    ],
)
def test_a_training_that_is_killed_while_it_saves_goes_on_from_the_last_whole_checkpoint(
    name: str, during_step: int, left: int, whole: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    plan = wanted(tmp_path / "out")
    script = Path(__file__).with_name("killed_training.py")
    command = [sys.executable, str(script), str(plan.out), name, str(during_step)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    killed = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-3000:]
    assert record(plan.out)["status"] == "running"
    assert load_adapter(base_model(), plan.out / f"checkpoints/checkpoint-{left}").method == plan.method
    assert (plan.out / "checkpoints/checkpoint-4/aurac_adapter.json").exists() == (left == 4)
    with pytest.raises(AdapterError):
        read_adapter(plan.out)
    train(plan)
    assert record(plan.out)["resumed_from_step"] == left
    assert all(torch.equal(w, weights(plan.out)[key]) for key, w in whole.items())
    assert not list(plan.out.glob(".unfinished-*"))
