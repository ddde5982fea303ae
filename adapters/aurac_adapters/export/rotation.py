"""SVD-LoRA: rotate a trained adapter so that every prefix is the best approximation of its rank."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch.nn.functional import pad

from aurac_adapters.export.base_check import check_layers
from aurac_adapters.folder.folder import read_folder
from aurac_adapters.folder.writing import write_folder
from aurac_adapters.layer.config import layer_scaling
from aurac_adapters.layer.keys import lora_layers_of
from aurac_adapters.layer.layer_gate import served_diagonal
from aurac_adapters.layer.options import known_options
from aurac_adapters.methods.svd_lora import SvdLora


def svd_rotate(folder: str | os.PathLike[str], out: str | os.PathLike[str], *, inference: str | None = None) -> Path:
    """Write an adapter with the same full-rank update, whose rank-r prefixes are its best rank-r approximations.

    Any LoRA can be cut this way after training, at no cost in training: the baseline that nested training has to beat.

    Args:
        folder: A trained adapter, of any maker.
        out: Where to; must not exist, or be empty.
        inference: Which full-rank update is rotated, for methods where the rules differ; by default the folder's.

    Returns:
        `out`, a PEFT folder with a sidecar of method "svd-lora" and PEFT scaling 1.

    Raises:
        AdapterError: If the folder cannot be read, or `out` holds something.
    """
    found, tensors = read_folder(folder)
    check_layers(found, tensors)
    rank = found.method.max_rank
    for layer in lora_layers_of(tensors):
        a, b = tensors[layer.a], tensors[layer.b]  # (r, in), (out, r)
        p = served_diagonal(found.method, rank, inference or found.inference, a, b)
        gate = torch.tensor(p / found.method.scale(rank))  # relative to PEFT's own factor, which may differ by layer
        factor = gate[: len(a)] * layer_scaling(found.config, layer.name)
        new_a, new_b = rotate(a.double(), b.double() * factor)
        missing = rank - len(a)  # a layer of smaller rank is filled with zeros
        tensors[layer.a] = pad(new_a, (0, 0, 0, missing)).to(a.dtype).contiguous()
        tensors[layer.b] = pad(new_b, (0, missing)).to(b.dtype).contiguous()
    config = {**known_options(found.config), "r": rank, "lora_alpha": rank}
    method = SvdLora(max_rank=rank, seed=found.method.seed)
    return write_folder(config, tensors, Path(out), method=method, training=found.training)


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
    new_b = pad(left * flip, (0, padding))
    return pad(flip[:, None] * right, (0, 0, 0, padding)), new_b
