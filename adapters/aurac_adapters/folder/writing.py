"""New folders, written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from safetensors.torch import save_file

from aurac.errors import AdapterError
from aurac_adapters.folder.sidecar import CONFIG, WEIGHTS, Training, write_sidecar_of
from aurac_adapters.methods.method import NestedMethod

CARD = "README.md"


def check_new(out: Path) -> None:
    """Raise `AdapterError` unless `out` does not exist yet or is an empty folder."""
    if out.is_symlink():  # a folder is put in place by renaming, which cannot go through a link
        raise AdapterError(f"{out} is a symbolic link. Give the folder that it is to lead to, which may not exist yet.")
    if out.is_file():
        raise AdapterError(f"{out} is a file. Give a folder that does not exist yet.")
    if out.exists() and any(out.iterdir()):
        raise AdapterError(f"{out} is not empty. Give a folder that does not exist yet.")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a folder beside `out` to write into; it becomes `out` at the end, or goes where writing failed.

    Raises:
        AdapterError: If `out` holds something.
    """
    check_new(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        yield unfinished
        share_weights(unfinished)
        unfinished.chmod(0o777 & ~_umask())
        os.replace(unfinished, out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def share_weights(folder: Path) -> None:
    """Give the weights in a folder the mode of any new file; safetensors lets nobody but their owner read them."""
    for file in folder.glob("*.safetensors"):
        with suppress(OSError):  # not every file system has modes, and no training is to be lost for that
            file.chmod(0o666 & ~_umask())


def _umask() -> int:
    mask = os.umask(0o077)  # it cannot be read without being set
    os.umask(mask)
    return mask


def write_folder(
    config: Mapping[str, Any],
    tensors: dict[str, torch.Tensor],
    out: Path,
    *,
    method: NestedMethod | None = None,
    inference: str = "prefix",
    training: Training | None = None,
    training_tokens: int | None = None,
    card: str | None = None,
    patterns: Mapping[str, Any] | None = None,
) -> Path:
    """Write a configuration and tensors as a PEFT folder, all or nothing.

    Args:
        config: PEFT's configuration; factors are `lora_alpha / r`, without patterns and `use_rslora`, which servers
            read differently.
        tensors: What `adapter_model.safetensors` is to hold.
        out: Where to; must not exist, or be empty.
        method: Adds a sidecar with this method.
        inference: Inference rule in the sidecar.
        training: In the sidecar: what was not the default in training.
        training_tokens: Likewise: what was read to train it, where that is known.
        card: Text of the README.
        patterns: `rank_pattern` and `alpha_pattern` where layers are to have ranks of their own.

    Returns:
        `out`.

    Raises:
        AdapterError: If `out` holds something.
    """
    plain = {"use_rslora": False, "rank_pattern": {}, "alpha_pattern": {}, "auto_mapping": None, "inference_mode": True}
    plain |= patterns or {}
    with new_folder(out) as folder:
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        text = json.dumps({**config, **plain}, indent=2, sort_keys=True)
        (folder / CONFIG).write_text(text + "\n", encoding="utf-8")
        if method is not None:
            write_sidecar_of(method, inference, folder, training=training, training_tokens=training_tokens)
        if card is not None:
            (folder / CARD).write_text(card, encoding="utf-8")
    return out
