"""How much memory a scoring took at most."""

from __future__ import annotations

import sys
from pathlib import Path

import torch


def peak_memory_bytes(device: str | torch.device | None) -> int | None:
    """Return the most bytes in use so far: on a GPU by its tensors, else resident in this process.

    Args:
        device: Where the model is; None for one that is elsewhere, whose memory is not known.
    """
    if device is None:
        return None
    device = torch.device(device)
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    status = Path("/proc/self/status")
    if status.exists():  # what `resource` says on Linux holds the peak of the parent too
        lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(lines[0].split()[1]) * 1024 if lines else None
    return _resident()


def _resident() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
