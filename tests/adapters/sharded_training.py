"""Run by test_training_sharded.py in each process: distributed_training.py with FSDP on CPU processes.

accelerate 1.15 honours FSDP for GPU-like devices only; several CPU processes go on with DDP without a word. So this
script, and nothing that is shipped, tells `AcceleratorState` that the processes are GPU-like for the moment in which it
decides. All else is accelerate's and the Trainer's own way: the environment is what `accelerate launch` sets.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from accelerate.state import AcceleratorState, DistributedType, PartialState

from distributed_training import main


def honour_fsdp_on_cpu() -> None:
    original = AcceleratorState.__init__

    def init(self: AcceleratorState, *args: Any, **kwargs: Any) -> None:
        shared = PartialState._shared_state
        if shared.get("distributed_type") == DistributedType.MULTI_CPU:
            shared["distributed_type"] = DistributedType.MULTI_GPU
        original(self, *args, **kwargs)

    AcceleratorState.__init__ = init


if __name__ == "__main__":
    honour_fsdp_on_cpu()
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
