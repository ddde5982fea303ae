"""Which checkpoints of a training are whole."""

from __future__ import annotations

import shutil
from pathlib import Path

from aurac_adapters.folder.sidecar import SIDECAR


def remove_incomplete(out: Path) -> None:
    """Remove what was being saved when the training was killed; a checkpoint gets its sidecar last."""
    for folder in (*out.glob("checkpoints/checkpoint-*"), *out.glob(".unfinished-*")):
        if not (folder / SIDECAR).exists() or folder.parent == out:
            shutil.rmtree(folder)


def last_checkpoint(out: Path) -> int | None:
    """Return the step of the last complete checkpoint."""
    folders = out.glob(f"checkpoints/checkpoint-*/{SIDECAR}")
    return max((int(path.parent.name.removeprefix("checkpoint-")) for path in folders), default=None)
