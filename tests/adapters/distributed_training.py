"""Run by test_training_processes.py in each process: train as told, and write which files this process wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

from aurac_adapters import METHODS

CASES: dict[str, dict[str, Any]] = {
    "lora": {"method": ("lora", {})},
    "matryoshka-packed": {"method": ("matryoshka", {}), "packing": True},
    "dylora": {"method": ("dylora", {})},
    "dylora-frozen": {"method": ("dylora", {"frozen": True})},
    "dylora-per-row": {"method": ("dylora", {"per_row": True})},
    "learned-matryoshka": {"method": ("learned-matryoshka", {})},
    "dylora-checkpointed": {"method": ("dylora", {}), "gradient_checkpointing": True},
}


def case(name: str, folder: Path, **changes: Any) -> Any:
    from short_training import config

    kind, switches = CASES[name]["method"]
    settings = CASES[name] | {"method": METHODS[kind](max_rank=4, **switches)}
    return config(folder / name, learning_rate=1e-3, checkpoint_steps=2, **(settings | changes))


def in_two_processes(script: str, *arguments: str, **environment: str) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(Path(__file__).parent / script), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr[-5000:]


def main(folder: Path, changes: dict[str, Any]) -> None:
    from aurac_adapters.training.trainer import train

    written: list[str] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        writes = (event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)) or (
            event in {"os.mkdir", "os.rename", "os.remove"}
        )
        if writes and str(arguments[0]).startswith(str(folder)):
            written.append(f"{event} {Path(os.fsdecode(arguments[0])).relative_to(folder)}")

    sys.addaudithook(note)
    warnings.filterwarnings("ignore", ".is_gradient_checkpointing. is deprecated", FutureWarning)
    for name in changes.pop("cases"):
        train(case(name, folder, **changes))
    (folder.parent / f"written-{os.environ.get('RANK', '0')}.json").write_text(json.dumps(written))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
