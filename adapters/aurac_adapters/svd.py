"""SVD-LoRA: rotate a trained adapter so that every prefix is the best approximation of its rank."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from aurac_adapters.folder import WEIGHTS, read_adapter, write_sidecar_of
from aurac_adapters.slices import write_folder
from aurac_adapters.svd_lora import SvdLora
from aurac_adapters.weights import A_KEY, B_KEY, lora_layer_names, read_weights


def svd_rotate(folder: str | os.PathLike[str], out: str | os.PathLike[str], *, inference: str | None = None) -> Path:
    """Write an adapter with the same full-rank update, whose rank-r prefixes are its best rank-r approximations.

    Any LoRA can be cut this way after training, at no cost in training: the baseline that nested training has to beat.

    Args:
        folder: A trained adapter, of any maker.
        out: Where to; must not exist, or be empty.
        inference: Which full-rank update is rotated, for methods where the two rules differ; by default the folder's.

    Returns:
        `out`, a PEFT folder with a sidecar of method "svd-lora" and PEFT scaling 1.

    Raises:
        AdapterError: If the folder cannot be read, or `out` holds something.
    """
    found = read_adapter(folder)
    rank = found.method.max_rank
    gate = found.method.inference_diagonal(rank, inference or found.inference) / found.method.scale(rank)
    tensors = read_weights(found.path / WEIGHTS, rank)
    for name in lora_layer_names(tensors):
        a, b = tensors[name + A_KEY], tensors[name + B_KEY]
        scale = layer_scaling(found.config, name, a.shape[0])
        rotated = rotate(a.double(), b.double() * torch.tensor(gate[: a.shape[0]]) * scale)
        tensors[name + A_KEY] = torch.zeros(rank, a.shape[1], dtype=a.dtype)
        tensors[name + B_KEY] = torch.zeros(b.shape[0], rank, dtype=b.dtype)
        tensors[name + A_KEY][: a.shape[0]] = rotated[0].to(a.dtype)
        tensors[name + B_KEY][:, : a.shape[0]] = rotated[1].to(b.dtype)
    path = write_folder(found, tensors, {"r": rank, "lora_alpha": rank}, Path(out))
    write_sidecar_of(SvdLora(max_rank=rank), "prefix", path)
    return path


def rotate(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return factors of the same product B A whose columns are ordered by singular value.

    Thin QR of B and of A^T, then the SVD of the (r, r) core: O((in + out) r^2) instead of O(in * out * min(in, out)).

    Args:
        a: (r, in).
        b: (out, r).

    Returns:
        A' (r, in) and B' (out, r), each carrying the square root of the singular values; the largest entry of every
        column of B' is positive, so the result is the same on every machine up to rounding.
    """
    q_b, r_b = torch.linalg.qr(b)  # (out, k), (k, r)
    q_a, r_a = torch.linalg.qr(a.T)  # (in, k'), (k', r)
    u, s, vt = torch.linalg.svd(r_b @ r_a.T, full_matrices=False)
    left, right = q_b @ u * s.sqrt(), s.sqrt()[:, None] * vt @ q_a.T  # (out, m), (m, in)
    flip = torch.sign(left.gather(0, left.abs().argmax(0, keepdim=True))).squeeze(0)
    flip[flip == 0] = 1
    padding = a.shape[0] - len(s)  # a layer narrower than r has fewer singular values
    new_b = torch.nn.functional.pad(left * flip, (0, padding))
    return torch.nn.functional.pad(flip[:, None] * right, (0, 0, 0, padding)), new_b


def layer_scaling(config: dict[str, object], name: str, rank: int) -> float:
    """Return PEFT's own scaling of one layer, patterns included."""
    from peft.utils.other import get_pattern_key

    patterns = config.get("alpha_pattern") or {}
    inner = name.removeprefix("base_model.model.")
    assert isinstance(patterns, dict)
    alpha = patterns.get(get_pattern_key(patterns.keys(), inner), config["lora_alpha"])
    return float(alpha) / (rank**0.5 if config.get("use_rslora") else rank)
