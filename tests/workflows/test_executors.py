"""Where jobs run: what is refused, the order of a graph, and its parts for other schedulers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

from aurac.errors import ExecutorError, OptionError
from aurac.workflows.bench.jobs import Job, Shard, chains, read_shard
from aurac.workflows.bench.work import run_jobs
from aurac.workflows.executors import EXECUTORS, Resources


def job(name: str, *needs: str, verb: str = "trained") -> Job:
    return Job(verb, name, Path(name), None, tuple(map(Path, needs)))


GRAPH = [
    job("lora"),
    job("dylora"),
    job("rank-1"),
    job("rank-2"),
    job("svd", "lora", verb="rotated"),
    job("lora-run", "lora", verb="scored"),
    job("svd-run", "svd", verb="scored"),
    job("dylora-run", "dylora", verb="scored"),
    job("grid-run", "rank-1", "rank-2", verb="scored"),
]


def test_a_chain_has_all_that_its_jobs_need() -> None:
    assert [[job.label for job in chain] for chain in chains(GRAPH)] == [
        ["lora", "svd", "lora-run", "svd-run"],
        ["dylora", "dylora-run"],
        ["rank-1", "rank-2", "grid-run"],
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_shards_are_disjoint_complete_and_need_nothing_of_each_other(count: int) -> None:
    parts = [Shard(index, count).of(GRAPH) for index in range(1, count + 1)]
    assert sorted(job.label for part in parts for job in part) == sorted(job.label for job in GRAPH)
    for part in parts:
        made = {job.key for job in part}
        assert all(need in made for job in part for need in job.needs)


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/0", "-1/2", "1/2/3", ""])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=re.escape(f"--shard {text}: give I/N, part I of N, with I from 1 to N")):
        read_shard(text)
    assert read_shard("2/8") == Shard(2, 8)


class Recording(Executor):
    """Ends its jobs in the order that it was given, without doing them."""

    def __init__(self, broken: str = "") -> None:
        self.begun: list[str] = []
        self._broken = broken

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        from aurac.workflows.bench.work import Outcome

        (label,) = (item.label for item in args if isinstance(item, Job))
        self.begun.append(label)
        future: Future[Any] = Future()
        future.set_result(Outcome(0.0, "it broke" if label == self._broken else None))
        return future


@pytest.fixture
def _nothing_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Job, "is_done", lambda _: False)


@pytest.mark.usefixtures("_nothing_done")
def test_a_job_begins_when_what_it_needs_is_made_and_not_before(tmp_path: Path) -> None:
    pool = Recording()
    ended = [job.label for job, _ in run_jobs(GRAPH, pool, tmp_path)]
    assert sorted(ended) == sorted(job.label for job in GRAPH)
    for job_ in GRAPH:
        assert all(pool.begun.index(str(need)) < pool.begun.index(job_.label) for need in job_.needs)


@pytest.mark.usefixtures("_nothing_done")
def test_a_job_that_fails_stops_only_what_needs_it(tmp_path: Path) -> None:
    pool = Recording(broken="lora")
    failed = {job.label: outcome.error for job, outcome in run_jobs(GRAPH, pool, tmp_path) if outcome.error}
    assert failed == {
        "lora": "it broke",
        "lora-run": "its adapter was not made (it broke)",
        "svd-run": "its adapter was not made (it broke)",
    }
    assert not {"svd", "svd-run", "lora-run"} & set(pool.begun)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_local_job_whose_process_dies_each_time_is_reported_and_others_go_on(tmp_path: Path) -> None:
    with EXECUTORS["local"](Resources(folder=tmp_path, jobs=2)) as pool:
        lost, other = pool.submit(die), pool.submit(os.getpid)
        assert other.result() != os.getpid()
        with pytest.raises(ExecutorError, match=r"its process died 3 times \(out of memory\?\)"):
            lost.result()
        assert pool.submit(os.getpid).result() != os.getpid()


_COMMAND = """
import sys, time
from pathlib import Path
from aurac.workflows.executors import EXECUTORS, Resources

def job(pid_file):
    import os
    Path(pid_file).write_text(str(os.getpid()))
    while True:
        time.sleep(0.05)

if __name__ == "__main__":
    with EXECUTORS["local"](Resources(folder=Path("."), jobs=2)) as pool:
        pool.submit(job, sys.argv[1]).result()
"""


def test_a_command_that_is_killed_takes_the_processes_of_its_jobs_along(tmp_path: Path) -> None:
    (tmp_path / "command.py").write_text(_COMMAND)
    command = subprocess.Popen([sys.executable, "command.py", "pid"], cwd=tmp_path)
    worker = int(_in_time(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    command.kill()
    command.wait()
    assert _in_time(lambda: not _runs(worker))


def _in_time(found: Callable[[], Any], seconds: float = 60) -> Any:
    """Return the first thing found that is true, or fail."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if it := found():
            return it
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} seconds")


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def test_what_an_executor_does_not_have_is_refused(tmp_path: Path) -> None:
    for name, given, message in (
        ("local", {"address": "h:1"}, "--address is not for executor local, but for ray"),
        ("local", {"gpus": 0.5}, "--gpus is not for executor local, but for ray and slurm"),
        ("ray", {"settings": ("partition=gpu",)}, "--slurm is not for executor ray, but for slurm"),
        ("slurm", {"address": "h:1"}, "--address is not for executor slurm, but for ray"),
    ):
        with (
            pytest.raises(OptionError, match=message),
            EXECUTORS[name](Resources(folder=tmp_path, **given)),  # type: ignore[arg-type]
        ):
            pass


@pytest.mark.parametrize(("name", "extra"), [("ray", "ray"), ("slurm", "slurm")])
def test_an_executor_that_is_not_installed_says_what_to_install(
    name: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, {"ray": "ray", "slurm": "submitit"}[name], None)
    with (
        pytest.raises(ExecutorError, match=rf"executor {name} needs .*not installed.*'aurac\[{extra}\]'"),
        EXECUTORS[name](Resources(folder=tmp_path)),
    ):
        pass


def test_a_ray_that_lacks_a_package_of_its_own_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ray.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "ray", raising=False)
    with (
        pytest.raises(ExecutorError, match=r"^Ray cannot be imported: No module named 'no_such_package'\. Install it"),
        EXECUTORS["ray"](Resources(folder=tmp_path)),
    ):
        pass


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
@pytest.mark.parametrize(
    "address", ["127.0.0.1:9", "127.0.0.1:99999", "nowhere.invalid:6379", "ray://127.0.0.1:9", "[::1]:9", "auto", "abc"]
)
def test_a_ray_address_where_nothing_answers_is_one_line_at_once(address: str, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'aurac[ray]'")
    begun = time.monotonic()
    with (
        pytest.raises(ExecutorError, match=rf"^no Ray cluster answers at {re.escape(address)}\. Start one with"),
        EXECUTORS["ray"](Resources(folder=tmp_path, address=address)),
    ):
        pass
    assert time.monotonic() - begun < 30


def test_settings_of_slurm_are_key_and_value_and_a_queue_must_be_there(tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'aurac[slurm]'")
    with pytest.raises(OptionError, match="--slurm gpu: give KEY=VALUE"):
        EXECUTORS["slurm"](Resources(folder=tmp_path, settings=("gpu",))).__enter__()
    with pytest.raises(OptionError, match=r"--gpus 0.5: SLURM gives whole GPUs only"):
        EXECUTORS["slurm"](Resources(folder=tmp_path, gpus=0.5, settings=("cluster=local",))).__enter__()
    with pytest.raises(ExecutorError, match=r"SLURM cannot be used: .*--slurm cluster=local"):
        EXECUTORS["slurm"](Resources(folder=tmp_path)).__enter__()
