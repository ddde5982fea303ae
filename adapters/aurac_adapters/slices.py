"""A sub-rank as an adapter of its own: a plain PEFT folder that PEFT and servers load without this project."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from safetensors.torch import save_file

from aurac.errors import AdapterError
from aurac_adapters.config import has_patterns
from aurac_adapters.folder import AdapterFolder, read_folder
from aurac_adapters.method import NestedMethod
from aurac_adapters.sidecar import CONFIG, WEIGHTS, write_sidecar_of
from aurac_adapters.weights import lora_layers_of


def export_slice(
    folder: str | os.PathLike[str], rank: int, out: str | os.PathLike[str], *, inference: str | None = None
) -> Path:
    """Write one sub-rank as a plain PEFT folder whose logits are those of our evaluation at that rank.

    Args:
        folder: An adapter folder.
        rank: 1..R.
        out: Where to; must not exist, or be empty.
        inference: "prefix" or "trained"; by default what the folder says. A trained diagonal is folded into `lora_B`.

    Returns:
        `out`, with `r` = rank, `use_rslora` false and no patterns, as servers want it.

    Raises:
        RankError: If the rank is not in 1..R.
        AdapterError: If the folder cannot be sliced, or `out` holds something.
    """
    found, tensors = read_folder(folder)
    if pattern := has_patterns(found.config):
        raise AdapterError(f"{found.path} has a {pattern}, which servers refuse. svd_rotate it, then slice the result.")
    p = torch.tensor(found.method.inference_diagonal(rank, inference or found.inference)[:rank])
    uniform = bool((p == p[0]).all())
    for layer in lora_layers_of(tensors):
        b = tensors[layer.b][:, :rank]
        tensors[layer.a] = tensors[layer.a][:rank].contiguous()
        tensors[layer.b] = (b if uniform else (b.double() * p).to(_at_least_float32(b.dtype))).contiguous()
    alpha = float(p[0]) * rank if uniform else rank
    return write_folder(found, tensors, {"r": rank, "lora_alpha": alpha}, Path(out))


def write_folder(
    source: AdapterFolder,
    tensors: dict[str, torch.Tensor],
    changes: dict[str, Any],
    out: Path,
    *,
    method: NestedMethod | None = None,
) -> Path:
    """Write tensors and a changed configuration as a PEFT folder, all or nothing.

    Args:
        source: The folder they come from.
        tensors: What `adapter_model.safetensors` is to hold.
        changes: Keys of PEFT's configuration that differ from the source's.
        out: Where to; must not exist, or be empty.
        method: Adds a sidecar with this method and the "prefix" rule.

    Returns:
        `out`.

    Raises:
        AdapterError: If `out` holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AdapterError(f"{out} is not empty. Give a folder that does not exist yet.")
    plain = {"use_rslora": False, "rank_pattern": {}, "alpha_pattern": {}, "auto_mapping": None, "inference_mode": True}
    config = {**source.config, **plain, **changes}
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        save_file(tensors, unfinished / WEIGHTS, metadata={"format": "pt"})
        (unfinished / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        if method is not None:
            write_sidecar_of(method, "prefix", unfinished)
        unfinished.chmod(0o755)
        os.replace(unfinished, out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return out


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """Return the type for a product with p, which 16 bits would round by up to 0.4 %."""
    return torch.promote_types(dtype, torch.float32)
