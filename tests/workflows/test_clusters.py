"""A benchmark on a Ray cluster of two nodes and on submitit's queue, with workers and a node killed under it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas
import pytest

from adapter_by_peft import write_adapter
from aurac import testbed
from aurac.cli import main
from aurac.workflows.bench import state

pytestmark = pytest.mark.slow

RECIPE = f"""
models = ["{testbed.MODEL}"]
ranks = [2]
seeds = [1, 2]

[training]
max_steps = 40
checkpoint_steps = 10
batch_size = 4
gradient_accumulation = 1

[scoring]
include_path = "{testbed.TASKS}"
limit = 4
batch_size = 16

[suites]
small = "tilt"

[data.mixture]
source = "{testbed.TRAIN}"

[methods.lora]
learning_rate = [1e-4, 5e-2]

[methods.svd-lora]
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clusters") / "recipe.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def alone(recipe: Path) -> dict[str, Any]:
    """The documents of every record, made by one process."""
    assert main(["bench", str(recipe), "--out", str(recipe.parent / "alone")]) == 0
    return documents(recipe.parent / "alone")


def documents(out: Path) -> dict[str, Any]:
    """Name of the record -> its rows; the bytes of such a file may differ between workers."""
    files = sorted((out / "records").glob("*/documents.parquet"))
    return {file.parent.name: pandas.read_parquet(file) for file in files}


def assert_same_records(out: Path, alone: dict[str, Any]) -> None:
    found = documents(out)
    assert found.keys() == alone.keys()
    for name, rows in alone.items():
        pandas.testing.assert_frame_equal(found[name], rows, check_exact=True)


def running(out: Path) -> list[dict[str, Any]]:
    """What runs now, by the files that `aurac bench --dry-run` reads."""
    found = []
    for file in (out / state.FOLDER).glob("*.json"):
        with contextlib.suppress(ValueError, OSError):
            found.append(json.loads(file.read_text()))
    return [about for about in found if about["status"] == "running"]


class Killer(threading.Thread):
    """Waits until something runs `after` jobs were begun, and kills it."""

    def __init__(self, out: Path, kill: Callable[[list[dict[str, Any]]], None], *, verb: str) -> None:
        super().__init__(daemon=True)
        self._out, self._kill, self._verb = out, kill, verb
        self.killed = False

    def run(self) -> None:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            if found := [about for about in running(self._out) if about["job"].endswith(self._verb)]:
                time.sleep(0.3)
                self._kill(found)
                self.killed = True
                return
            time.sleep(0.02)


def kill_worker(found: list[dict[str, Any]]) -> None:
    os.kill(found[0]["process"], signal.SIGKILL)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two raylets on this machine, with a core each."""
    utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed: pip install 'aurac[ray]'")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    made = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.second = made.add_node(num_cpus=1)
    yield made
    made.shutdown()


@pytest.mark.filterwarnings("ignore")  # Ray's own
@pytest.mark.parametrize("what", ["nothing", "a worker that trains", "a worker that scores", "a whole node"])
def test_two_ray_nodes_make_what_one_process_makes_whatever_is_killed(
    what: str, cluster: Any, recipe: Path, alone: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    kills = {
        "a worker that trains": (kill_worker, "trained"),
        "a worker that scores": (kill_worker, "scored"),
        "a whole node": (lambda _: cluster.remove_node(cluster.second, allow_graceful=False), "trained"),
    }
    killer = None
    if what in kills:
        kill, verb = kills[what]
        killer = Killer(out, kill, verb=verb)
        killer.start()
    assert main(["bench", str(recipe), "--out", str(out), "--executor", "ray", "--address", cluster.address]) == 0
    if killer is not None:
        killer.join(60)
        assert killer.killed
    assert_same_records(out, alone)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tmp_path_factory.mktemp("adapters") / "mine", seed=0)


SCORE = [
    "--tasks",
    "facts,cipher",
    "--include-path",
    str(testbed.TASKS),
    "--ranks",
    "1,4",
    "--limit",
    "64",
    "--dtype",
    "float32",
]


@pytest.mark.filterwarnings("ignore")  # Ray's own
@pytest.mark.parametrize(("what", "most"), [("nothing", 1000), ("nothing", 20), ("a worker", 20), ("a whole node", 20)])
def test_a_scoring_by_workers_of_two_nodes_makes_the_record_of_one_process(
    what: str, most: int, cluster: Any, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aurac.harness import units

    monkeypatch.setattr(units, "MOST_DOCUMENTS", most)
    command = ["score", str(adapter), *SCORE]
    assert main([*command, "--out", str(tmp_path / "alone")]) == 0
    killed = threading.Event()
    if what != "nothing":
        kill_when_half(tmp_path / "ray", lambda: (kill_one(what, cluster), killed.set()))
    assert main([*command, "--out", str(tmp_path / "ray"), "--executor", "ray", "--address", cluster.address]) == 0
    assert killed.is_set() == (what != "nothing")
    rows = [pandas.read_parquet(tmp_path / name / "documents.parquet") for name in ("alone", "ray")]
    # A log-likelihood moves in its last digits with the documents that are forwarded beside it: 1e-6 nats near 0.
    rounding = {"check_exact": True} if most == 1000 else {"rtol": 1e-5, "atol": 1e-6}
    pandas.testing.assert_frame_equal(*rows, **rounding)
    cells = [json.loads((tmp_path / name / "run.json").read_text())["cells"] for name in ("alone", "ray")]
    for one, other in zip(*cells, strict=True):
        assert all(one[key] == other[key] for key in ("task", "rank", "status"))
        # Means of those log-likelihoods.
        assert other["metrics"] == pytest.approx(one["metrics"], rel=1e-5)


def kill_when_half(out: Path, kill: Callable[[], object]) -> None:
    """Kill as soon as the first cell of a record is there."""

    def wait() -> None:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and not list((out / "cells").glob("*.parquet")):
            time.sleep(0.02)
        kill()

    threading.Thread(target=wait, daemon=True).start()


def kill_one(what: str, cluster: Any) -> None:
    if what == "a whole node":
        cluster.remove_node(cluster.second, allow_graceful=False)
    else:
        os.kill(worker_of(cluster.second), signal.SIGKILL)


def worker_of(node: Any) -> int:
    """The process of the node's worker that has the model."""
    raylet = node.all_processes["raylet"][0].process.pid
    children = Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()
    (found,) = (pid for pid in children if b"_Worker" in Path(f"/proc/{pid}/cmdline").read_bytes())
    return int(found)


@pytest.mark.filterwarnings("ignore")  # submitit's own
@pytest.mark.parametrize("what", ["nothing", "a worker that trains"])
def test_submitits_local_queue_makes_what_one_process_makes(
    what: str, recipe: Path, alone: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'aurac[slurm]'")
    out = tmp_path / "out"
    killer = Killer(out, kill_worker, verb="trained") if what != "nothing" else None
    if killer is not None:
        killer.start()
    options = ["--executor", "slurm", "--slurm", "cluster=local", "--slurm", "timeout_min=20", "--jobs", "2"]
    assert main(["bench", str(recipe), "--out", str(out), *options]) == 0
    assert killer is None or killer.killed
    assert_same_records(out, alone)


@pytest.mark.parametrize("verb", ["trained", "scored"])
def test_a_local_process_that_is_killed_is_replaced_and_its_job_begun_again(
    verb: str, recipe: Path, alone: dict[str, Any], tmp_path: Path
) -> None:
    killer = Killer(tmp_path / "out", kill_worker, verb=verb)
    killer.start()
    assert main(["bench", str(recipe), "--out", str(tmp_path / "out"), "--jobs", "2"]) == 0
    assert killer.killed
    assert_same_records(tmp_path / "out", alone)
