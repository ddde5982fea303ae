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
