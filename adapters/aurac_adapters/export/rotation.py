"""SVD-LoRA: rotate a trained adapter so that every prefix is the best approximation of its rank."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch.nn.functional import pad

from aurac_adapters.export.base_check import check_layers
from aurac_adapters.folder.folder import AdapterFolder, read_to_load
from aurac_adapters.folder.spent import training_tokens
from aurac_adapters.folder.writing import check_new, write_folder
from aurac_adapters.layer.config import layer_scaling
from aurac_adapters.layer.keys import Layer, lora_layers_of
from aurac_adapters.layer.layer_gate import served_diagonal
from aurac_adapters.layer.options import known_options
from aurac_adapters.methods.svd_lora import SvdLora

_RIDGE = 1e-10
"""What a moment's diagonal is raised by, relative to its mean: directions that no token moved can be told apart."""


def svd_rotate(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    inference: str | None = None,
    allocate: str = "uniform",
    calibrate: str | os.PathLike[str] | None = None,
    base: str | None = None,
    trust_remote_code: bool = False,
) -> Path:
    """Write an adapter with the same full-rank update, whose rank-r prefixes are its best rank-r approximations.

    Any LoRA can be cut this way after training, at no cost in training: the baseline that nested training has to beat.
    With a calibration text the best is what comes nearest to the outputs of the layers on that text, instead of to
    their weights.

    Args:
        folder: A trained adapter, of any maker.
        out: Where to; must not exist, or be empty.
        inference: Which full-rank update is rotated, for methods where the rules differ; by default the folder's.
        allocate: How a budget of parameters is shared out over the layers, a name in `ALLOCATIONS`; it is written into
            the sidecar.
        calibrate: A file of plain text that the adapter reads on its base model.
        base: Base model for that, folder or hub name; by default what the folder says.
        trust_remote_code: Whether code that comes with the base model may run.

    Returns:
        `out`, a PEFT folder with a sidecar of method "svd-lora" and PEFT scaling 1.

    Raises:
        AdapterError: If the folder cannot be read, or `out` holds something.
        DataError: If the calibration text cannot be read or is empty.
        UnknownNameError: If there is no such allocation.
    """
    found = read_to_load(folder)
    tensors = dict(found.tensors())
    check_layers(found, tensors)
    check_new(Path(out))
    rank = found.method.max_rank
    method = SvdLora(max_rank=rank, seed=found.method.seed, allocate=allocate)
    moments: dict[str, torch.Tensor] = {}
    if calibrate is not None:
        from aurac_adapters.export.calibration import calibrate as read

        seen = read(found, Path(calibrate), base=base, trust_remote_code=trust_remote_code)
        method, moments = replace(method, calibration=seen.sha256), seen.moments
    for layer, a, b in list(rotated_layers(found, tensors, inference=inference, moments=moments)):
        tensors[layer.a] = a.to(tensors[layer.a].dtype).contiguous()
        tensors[layer.b] = b.to(tensors[layer.b].dtype).contiguous()
    config = {**known_options(found.config), "r": rank, "lora_alpha": rank}
    spent = training_tokens(found)
    return write_folder(config, tensors, Path(out), method=method, training=found.training, training_tokens=spent)


def rotated_layers(
    found: AdapterFolder,
    tensors: Mapping[str, torch.Tensor],
    *,
    inference: str | None = None,
    moments: Mapping[str, torch.Tensor] | None = None,
) -> Iterator[tuple[Layer, torch.Tensor, torch.Tensor]]:
    """Yield every layer with factors of its full-rank update, ordered by singular value.

    Args:
        found: A trained adapter, of any maker.
        tensors: Its tensors.
        inference: Which full-rank update is rotated; by default the folder's.
        moments: Layer -> mean of h hᵀ, as `rotate` takes it, where there is a calibration.

    Yields:
        Layer, A' (R, in) and B' (out, R) in float64 with B' A' the update, all factors of PEFT and of the method in it;
        zeros where a layer has a smaller rank.
    """
    rank = found.method.max_rank
    for layer in lora_layers_of(tensors):
        a, b = tensors[layer.a], tensors[layer.b]  # (r, in), (out, r)
        p = served_diagonal(found.method, rank, inference or found.inference, a, b)
        gate = torch.tensor(p / found.method.scale(rank))  # relative to PEFT's own factor, which may differ by layer
        factor = gate[: len(a)] * layer_scaling(found.config, layer.name)
        new_a, new_b = rotate(a.double(), b.double() * factor, (moments or {}).get(layer.name))
        missing = rank - len(a)  # a layer of smaller rank is filled with zeros
        yield layer, pad(new_a, (0, 0, 0, missing)), pad(new_b, (0, missing))


def rotate(a: torch.Tensor, b: torch.Tensor, moment: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return factors of the same product B A whose columns are ordered by singular value.

    Thin QR of B and of A^T, then the SVD of the (r, r) core: O((in + out) r^2) instead of O(in * out * min(in, out)).

    Args:
        a: (r, in).
        b: (out, r).
        moment: M, the mean of h hᵀ over tokens with h = A x, (r, r). Prefixes are then those that come nearest to
            B A x in the mean of squares, and the singular values those of B L with L Lᵀ = M.

    Returns:
        A' (r, in) and B' (out, r), each carrying the square root of the singular values; the largest entry of every
        column of B' is positive, so the result is the same on every machine up to rounding.
    """
    if moment is not None:
        return _rotate_by(a, b, moment)
    q_b, r_b = torch.linalg.qr(b)  # (out, k), (k, r)
    q_a, r_a = torch.linalg.qr(a.T)  # (in, k'), (k', r)
    u, s, vt = torch.linalg.svd(r_b @ r_a.T, full_matrices=False)
    return _signed(q_b @ u * s.sqrt(), s.sqrt()[:, None] * vt @ q_a.T, len(a))  # (out, m), (m, in)


def _rotate_by(a: torch.Tensor, b: torch.Tensor, moment: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the factors for outputs instead of weights: B L = U S Vᵀ, so B A = (U √S) (√S Vᵀ L⁻¹ A)."""
    whole, size = moment.double(), len(a)
    ridge = _RIDGE * float(whole.diagonal().mean()) or 1.0  # a layer that saw nothing is rotated as it is
    root = torch.linalg.cholesky(whole + ridge * torch.eye(size, dtype=whole.dtype))  # L, (r, r)
    u, s, vt = torch.linalg.svd(b @ root, full_matrices=False)
    seen = torch.linalg.solve_triangular(root, a, upper=False)  # L⁻¹ A, (r, in)
    return _signed(u * s.sqrt(), s.sqrt()[:, None] * (vt @ seen), size)


def _signed(left: torch.Tensor, right: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return A' and B' with one sign, filled up with zeros to the rank where a layer is narrower."""
    flip = torch.sign(left.gather(0, left.abs().argmax(0, keepdim=True))).squeeze(0)
    flip[flip == 0] = 1
    padding = rank - left.shape[1]  # a layer narrower than r has fewer singular values
    new_b = pad(left * flip, (0, padding))
    return pad(flip[:, None] * right, (0, 0, 0, padding)), new_b
