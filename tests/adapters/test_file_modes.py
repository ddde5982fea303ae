"""Who may read what is written: as for any new file, the umask says it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aurac import testbed
from aurac_adapters import Lora, export_merged, export_slice, save_adapter, svd_rotate
from aurac_adapters.folder.writing import share_weights
from aurac_adapters.training.trainer import train
from short_training import config
from tiny import nested

Make = Callable[..., Path]
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(params=[0o022, 0o027, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}


def check(folder: Path, umask: int, weights: str = WEIGHTS) -> None:
    found = modes(folder)
    assert weights in found
    expected = {path.name: (0o777 if path.is_dir() else 0o666) & ~umask for path in (folder, *folder.iterdir())}
    assert found == expected


def test_slices_and_rotations_have_the_modes_of_new_files(umask: int, make_foreign: Make, tmp_path: Path) -> None:
    check(export_slice(make_foreign(), 2, tmp_path / "r2"), umask)
    check(svd_rotate(make_foreign(), tmp_path / "svd"), umask)


def test_trainings_their_checkpoints_and_merged_models_have_the_modes_of_new_files(umask: int, tmp_path: Path) -> None:
    folder = train(config(tmp_path / "out", max_steps=2, checkpoint_steps=1))
    check(folder, umask)
    check(folder / "checkpoints" / "checkpoint-1", umask)
    check(export_merged(folder, 2, tmp_path / "m", base=str(testbed.MODEL)), umask, "model.safetensors")


def test_an_adapter_that_is_saved_again_has_them_too(umask: int, tmp_path: Path) -> None:
    for _ in range(2):
        check(save_adapter(nested(Lora(max_rank=4)), tmp_path / "adapter"), umask)


def test_a_file_system_without_modes_loses_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    (tmp_path / WEIGHTS).touch()
    monkeypatch.setattr("pathlib.Path.chmod", refuse)
    share_weights(tmp_path)
