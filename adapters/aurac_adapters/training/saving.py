"""What a failure while saving means, in one error instead of the many that libraries raise for a full disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from aurac.errors import AuracError, TrainingError


@contextmanager
def saving_to(folder: Path) -> Iterator[None]:
    """Raise `TrainingError` with the folder for what goes wrong in the `with` block.

    A full disk is an OSError, a SafetensorError or, from torch, a RuntimeError, depending on which file did not fit.
    """
    try:
        yield
    except AuracError:
        raise
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise TrainingError(
            f"cannot save to {folder}: {reason:.200}. Earlier checkpoints are whole; put that right (room on the disk, "
            "leave to write), and the same command goes on from the last one."
        ) from error
