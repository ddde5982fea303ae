"""`accelerate launch -m aurac score` and `torchrun -m aurac score`: two processes make the record of one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from adapter_by_peft import TASKS
from aurac.results import load

LAUNCHERS = {
    # On a machine without a GPU accelerate's launcher for several GPUs starts CPU processes; its own `--cpu` needs MPI.
    "accelerate": [
        *("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"),
        *("--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "-m"),
    ],
    "torchrun": ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"],
}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_processes_write_the_record_of_one(
    launcher: str, call: Any, adapters: dict[str, Path], tmp_path: Path
) -> None:
    command = ["score", str(adapters["one"]), "--tasks", "facts,cipher", *TASKS, "--ranks", "1,4", "--format", "csv"]
    alone = call(*command, "--out", tmp_path / "alone")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "default"}
    both = subprocess.run(
        [sys.executable, *LAUNCHERS[launcher], "aurac", *command, "--out", str(tmp_path / "both")],
        capture_output=True, text=True, env=environment, timeout=300,
    )  # fmt: skip
    assert both.returncode == 0, both.stderr
    assert alone.status == 0
    assert both.stdout.replace("both", "alone") == alone.out
    documents = [pd.read_parquet(tmp_path / name / "documents.parquet") for name in ("alone", "both")]
    pd.testing.assert_frame_equal(*documents)
    work = [
        {(cell["task"], cell["rank"]): cell["work"]["rows_projected"] for cell in load(tmp_path / name).record["cells"]}
        for name in ("alone", "both")
    ]
    assert work[0] == work[1]
