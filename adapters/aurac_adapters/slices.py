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
from aurac_adapters.folder import CONFIG, WEIGHTS, AdapterFolder, read_adapter
from aurac_adapters.weights import A_KEY, B_KEY, lora_layer_names, read_weights


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
    found = read_adapter(folder)
    for pattern in ("rank_pattern", "alpha_pattern"):
        if found.config.get(pattern):
            raise AdapterError(f"{found.path} has a {pattern}, which servers refuse; it cannot be sliced.")
    p = found.method.inference_diagonal(rank, inference or found.inference)[:rank]
    tensors = read_weights(found.path / WEIGHTS, found.method.max_rank)
    sliced = dict(tensors)
    uniform = bool((p == p[0]).all())
    for name in lora_layer_names(tensors):
        b = tensors[name + B_KEY][:, :rank]
        sliced[name + A_KEY] = tensors[name + A_KEY][:rank].contiguous()
        sliced[name + B_KEY] = (b if uniform else (b.double() * torch.tensor(p)).to(b.dtype)).contiguous()
    alpha = float(p[0]) * rank if uniform else rank
    return write_folder(found, sliced, {"r": rank, "lora_alpha": alpha}, Path(out))


def write_folder(source: AdapterFolder, tensors: dict[str, torch.Tensor], changes: dict[str, Any], out: Path) -> Path:
    """Write tensors and a changed configuration as a PEFT folder, all or nothing.

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
        unfinished.chmod(0o755)
        os.replace(unfinished, out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return out
