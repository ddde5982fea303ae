"""Killed, interrupted, out of disk, called twice at once: a run loses the cell in progress, and resumes to the same."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from safetensors.torch import load_file

from aurac import testbed
from aurac.results import load
from children import Child, die_at_operation, limit_files, set_clock, set_place, slow_cells
from interrupting import contents, finished, kill_again_and_again, score_command

Record = Callable[[str, object], None]
DOCUMENTS = 8
"""In a cell."""
SHORT = {"tasks": "facts,cipher", "ranks": "1,4"}


@pytest.fixture(scope="session")
def whole(adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A record that nothing interrupted, and the seconds that it took."""
    folder = tmp_path_factory.mktemp("whole")
    Child(["--version"], folder / "log").wait()  # starts the server
    started = time.perf_counter()
    assert Child(score_command(adapter, folder / "run"), folder / "log").wait() == 0
    return folder / "run", time.perf_counter() - started


@pytest.fixture(scope="session")
def short(adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("short")
    child = Child(score_command(adapter, folder / "run", **SHORT), folder / "log")
    assert child.wait() == 0, child.output
    return folder / "run"


@pytest.mark.parametrize(("kills", "seed"), [(3, 0), pytest.param(20, 1, marks=pytest.mark.slow)])
def test_a_sweep_that_is_killed_loses_the_cell_in_progress_at_most(
    kills: int, seed: int, adapter: Path, whole: tuple[Path, float], tmp_path: Path, record_property: Record
) -> None:
    record, seconds = whole
    out = tmp_path / "run"
    killed = kill_again_and_again(score_command(adapter, out), out, kills=kills, seed=seed, seconds=seconds, cells=12)
    record_property("faults", killed.kills)
    record_property("documents lost", DOCUMENTS * killed.lost)
    assert killed.cells == 12
    assert killed.lost == 0
    assert killed.measured <= killed.cells + killed.kills
    assert contents(out) == contents(record)


@pytest.mark.parametrize("operations", [[9], pytest.param(range(40), marks=pytest.mark.slow)])
def test_killed_before_any_change_of_a_file_the_record_is_sound(
    operations: Sequence[int], adapter: Path, short: Path, tmp_path: Path, record_property: Record
) -> None:
    for number in operations:
        out = tmp_path / str(number) / "run"
        out.parent.mkdir()
        command = score_command(adapter, out, **SHORT)
        status = Child(command, tmp_path / "log", [partial(die_at_operation, number)]).wait()
        assert status in (-signal.SIGKILL, 0)
        if (out / "run.json").exists():
            load(out)
        assert Child(command, tmp_path / "log").wait() == 0
        assert contents(out) == contents(short)
        assert {path.name for path in out.iterdir()} <= {"run.json", "documents.parquet", ".lock"}
        if status == 0:
            break
        record_property("faults", 1)


def test_ctrl_c_is_130_and_one_line_and_keeps_what_was_measured(adapter: Path, short: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = score_command(adapter, out, **SHORT)
    child = Child(command, tmp_path / "log", [partial(slow_cells, 0.2)])
    while len(finished(out)) < 2:
        time.sleep(0.02)
    child.interrupt()
    assert child.wait() == 130
    assert child.output.count("interrupted; what was finished is kept, the same command goes on from there") == 1
    assert "Traceback" not in child.output
    assert len(finished(out)) == 2
    assert Child(command, tmp_path / "log").wait() == 0
    assert contents(out) == contents(short)


@pytest.mark.parametrize("size", [500, 3_500])
def test_a_quota_is_one_error_line_and_keeps_what_was_measured(
    size: int, adapter: Path, short: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = score_command(adapter, out, **SHORT)
    child = Child(command, tmp_path / "log", [partial(limit_files, size)])
    assert child.wait() == 1, child.output
    assert f"error: File too large: {out}" in child.output
    assert "Traceback" not in child.output
    assert Child(command, tmp_path / "log").wait() == 0
    assert contents(out) == contents(short)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 kB; only root can mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs root, to mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def mount_again(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)


def test_a_full_disk_is_one_error_line_and_keeps_what_was_measured(
    adapter: Path, short: Path, small_disk: Path, tmp_path: Path
) -> None:
    out = small_disk / "run"
    command = score_command(adapter, out, **SHORT)
    child = Child(command, tmp_path / "log")
    assert child.wait() == 1, child.output
    assert f"error: No space left on device: {out}" in child.output
    assert "Traceback" not in child.output
    mount_again(small_disk, "size=1m")
    assert Child(command, tmp_path / "log").wait() == 0
    assert contents(out) == contents(short)


def test_a_disk_that_cannot_be_written_is_one_error_line(adapter: Path, small_disk: Path, tmp_path: Path) -> None:
    mount_again(small_disk, "ro")
    child = Child(score_command(adapter, small_disk / "run", **SHORT), tmp_path / "log")
    assert child.wait() == 1
    assert "error: Read-only file system" in child.output
    assert "Traceback" not in child.output


def test_of_two_processes_on_one_folder_one_refuses(adapter: Path, short: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = score_command(adapter, out, **SHORT)
    first = Child(command, tmp_path / "first", [partial(slow_cells, 0.2)])
    while not finished(out):
        time.sleep(0.02)
    second = Child(command, tmp_path / "second")
    assert second.wait() == 1
    assert f"error: another process is writing {out}. Wait for it to end" in second.output
    assert first.wait() == 0
    assert contents(out) == contents(short)


def test_neither_clock_nor_locale_nor_time_zone_change_a_record(adapter: Path, short: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = score_command(adapter, out, **SHORT)
    child = Child(
        command, tmp_path / "log", [partial(set_place, "tr_TR.UTF-8", "Pacific/Kiritimati"), partial(slow_cells, 0.2)]
    )
    while not finished(out):
        time.sleep(0.02)
    child.kill()
    backwards = [partial(set_clock, -3 * 365 * 86_400), partial(set_place, "de_DE.UTF-8", "America/New_York")]
    assert Child(command, tmp_path / "log", backwards).wait() == 0
    assert contents(out) == contents(short)
    run = json.loads((out / "run.json").read_text())
    assert run["updated"] < run["created"]  # the clock did go backwards


def train_command(out: Path, *, max_steps: int = 30) -> list[object]:
    data = ["--model", testbed.MODEL, "--data", testbed.TRAIN, "--rank", "4", "--method", "dylora"]
    steps = ["--max-steps", max_steps, "--checkpoint-steps", "5", "--batch-size", "4", "--gradient-accumulation", "1"]
    return ["train", *data, *steps, "--dtype", "float32", "--out", out]


@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_a_training_that_is_killed_goes_on_to_the_same_adapter(
    kills: int, tmp_path: Path, record_property: Record
) -> None:
    assert Child(train_command(tmp_path / "whole"), tmp_path / "log").wait() == 0
    out = tmp_path / "run"
    for number in range(kills):
        child = Child(train_command(out), tmp_path / "log")
        while child.process.exitcode is None and _steps(out) < 5 + 20 * number // kills:
            time.sleep(0.01)
        assert child.process.exitcode is None
        child.kill()
    record_property("faults", kills)
    child = Child(train_command(out), tmp_path / "log")
    assert child.wait() == 0, child.output
    weights = [load_file(folder / "adapter_model.safetensors") for folder in (out, tmp_path / "whole")]
    assert all((weights[1][name] == tensor).all() for name, tensor in weights[0].items())
    records = [json.loads((folder / "training.json").read_text()) for folder in (out, tmp_path / "whole")]
    assert records[0]["losses"] == records[1]["losses"]
    assert [path.name for path in out.iterdir() if path.name.startswith(".unfinished")] == []


def _steps(out: Path) -> int:
    found = [int(path.name.removeprefix("checkpoint-")) for path in out.glob("checkpoints/checkpoint-*")]
    return max(found, default=0)


def test_of_two_trainings_in_one_folder_one_refuses(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = train_command(out, max_steps=3000)
    first = Child(command, tmp_path / "first")
    while not _steps(out) and first.process.exitcode is None:
        time.sleep(0.01)
    second = Child(command, tmp_path / "second")
    assert second.wait() == 1
    assert f"error: another process is training into {out}. Wait for it to end" in second.output
    first.interrupt()
    assert first.wait() == 130
