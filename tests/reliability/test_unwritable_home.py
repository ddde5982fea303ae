"""A HOME in which nothing can be written is called that, and nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from errno import EACCES, ENOENT, ENOTDIR
from pathlib import Path

import pytest

from adapter_by_peft import write_adapter
from aurac.home import unwritable_home

NO_HOMES = {"HOME": "/proc/nope", "HF_HOME": "/dev/null"}
"""Folders that nobody can make, root neither: one whose parent takes nothing, and one that is no folder."""


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task whose data `datasets` prepares in its cache."""
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "data.jsonl").write_text('{"q": "a b", "a": "c"}\n')
    data = json.dumps({"data_files": {"test": str(folder / "data.jsonl")}})
    (folder / "mine.yaml").write_text(
        f"task: mine\ndataset_path: json\ndataset_kwargs: {data}\ntest_split: test\noutput_type: loglikelihood\n"
        'doc_to_text: "{{q}}"\ndoc_to_target: "{{a}}"\nmetric_list: [{metric: acc}]\n'
    )
    return folder


@pytest.mark.parametrize(
    ("variable", "home"),
    [("HOME", NO_HOMES["HOME"]), pytest.param("HF_HOME", NO_HOMES["HF_HOME"], marks=pytest.mark.slow)],
)
def test_a_home_that_cannot_be_written_is_the_error_line(variable: str, home: str, task: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter", seed=0)
    command = [sys.executable, "-m", "aurac", "score", adapter, "--tasks", "mine", "--include-path", task]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))}
    environment |= {"PYTHONPATH": ":".join(sys.path), variable: home}
    done = subprocess.run(
        [*map(str, command), "--out", str(tmp_path / "run")], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 1
    assert f"error: {variable} is {home}, where nothing can be written" in done.stderr
    assert "Set HOME, or HF_HOME, to a folder that can be written." in done.stderr
    assert "Traceback" not in done.stderr


def test_errors_elsewhere_and_a_home_that_can_be_written_are_not_called_that(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_MODULES_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    inside = OSError(EACCES, "Permission denied", str(tmp_path / ".cache" / "file"))
    assert unwritable_home(inside) is None  # the folder itself can be written
    monkeypatch.setenv("HOME", "/proc/nope")
    assert unwritable_home(OSError(ENOENT, "No such file or directory", str(tmp_path / "adapter"))) is None
    assert unwritable_home(ValueError("no")) is None
    wrapped = ValueError("cannot load")
    wrapped.__cause__ = OSError(ENOENT, "No such file or directory", "/proc/nope/.cache/huggingface")
    said = unwritable_home(wrapped)
    assert said is not None
    assert said.startswith("HOME is /proc/nope, where nothing can be written (No such file or directory: /proc/nope/")


@pytest.mark.parametrize("variable", NO_HOMES)
@pytest.mark.parametrize("home", NO_HOMES.values())
def test_either_variable_is_named_for_either_kind_of_home(
    variable: str, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_MODULES_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, home)
    refused = OSError(ENOTDIR if home == "/dev/null" else ENOENT, "refused", f"{home}/.cache/huggingface")
    assert (unwritable_home(refused) or "").startswith(f"{variable} is {home}, where nothing can be written")
