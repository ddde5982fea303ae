"""Run by test_training_saving.py: a training that is killed when it opens, or puts in place, a file of a given name."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any


def main(folder: Path, name: str, step: int) -> None:
    from aurac_adapters.training.callbacks import MethodCallback
    from aurac_adapters.training.trainer import train
    from test_training_saving import wanted

    armed = False

    def kill(event: str, arguments: tuple[Any, ...]) -> None:
        if armed and event in {"open", "os.rename"}:
            path = arguments[event == "os.rename"]  # where a file goes, if it is renamed
            if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(str(folder)) and name in str(path):
                os.kill(os.getpid(), signal.SIGKILL)

    begin = MethodCallback.on_step_begin

    def on_step_begin(self: MethodCallback, args: Any, state: Any, control: Any, **rest: Any) -> None:
        nonlocal armed
        armed = state.global_step == step
        begin(self, args, state, control, **rest)

    MethodCallback.on_step_begin = on_step_begin  # type: ignore[method-assign]
    sys.addaudithook(kill)
    warnings.filterwarnings("ignore", ".is_gradient_checkpointing. is deprecated", FutureWarning)
    train(wanted(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
