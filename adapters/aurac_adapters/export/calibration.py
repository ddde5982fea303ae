"""Calibration: what a text makes the layers of an adapter see, as second moments of their activations between A and B.

For a layer with update B A and inputs x the mean of ‖B A x‖² over a text is the trace of B M Bᵀ with M the mean of
h hᵀ and h = A x: the R x R matrix M is all that a text has to say, however wide the layer is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft.tuners.lora.layer import Embedding as LoraEmbedding

from aurac.errors import DataError, ModelError
from aurac_adapters.base.model import context_length, load_base
from aurac_adapters.folder.folder import AdapterFolder
from aurac_adapters.folder.loading import load_read
from aurac_adapters.layer.nested import lora_layers

_BLOCK = 512
"""Tokens that the model reads at once, at most its context."""
_MOST_TOKENS = 2**16
"""What of a text is read; an R x R matrix is known by then."""


@dataclass(frozen=True)
class Calibration:
    """What a text says of an adapter's layers.

    Attributes:
        moments: Layer, by the key of its tensors up to `.lora_A` -> mean of h hᵀ over tokens, (r, r), float64.
        sha256: Of the text.
        tokens: So many were read.
    """

    moments: dict[str, torch.Tensor]
    sha256: str
    tokens: int


def read_text(path: Path) -> str:
    """Return the text of a calibration file.

    Raises:
        DataError: If there is none, it is no UTF-8, or nothing but space.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = "it is no text in UTF-8" if isinstance(exc, UnicodeDecodeError) else (exc.strerror or str(exc))
        raise DataError(f"the calibration text {path} cannot be read: {reason}. Give a text file.") from exc
    if not text.strip():
        raise DataError(
            f"the calibration text {path} is empty. Give a text like those that the adapter is to answer, a few "
            "thousand words of it."
        )
    return text


def calibrate(
    found: AdapterFolder, text: Path, *, base: str | None = None, trust_remote_code: bool = False
) -> Calibration:
    """Let the adapter read a text at its full rank, and keep what its layers saw.

    Args:
        found: A folder as read.
        text: A file of plain text; the first 65,536 tokens are read.
        base: Base model, folder or hub name, loaded in float32; by default what the folder says.
        trust_remote_code: Whether code that comes with the base model may run.

    Raises:
        DataError: If the text cannot be read or is empty.
        ModelError: If the base model is not named or cannot be loaded.
    """
    written = read_text(text)
    name = base or found.base_model
    if name is None:
        raise ModelError(f"{found.path} does not name its base model. Give it with --base.")
    model, tokenizer = load_base(name, dtype=torch.float32, trust_remote_code=trust_remote_code)
    ids = tokenizer(written, return_tensors="pt", verbose=False)["input_ids"][0, :_MOST_TOKENS]
    nested = load_read(model, found, found.tensors())
    with _watched(nested.model, nested.adapter_name) as sums, torch.no_grad():
        for block in ids.split(min(_BLOCK, context_length(model, tokenizer))):
            nested.model(input_ids=block[None])
    moments = {layer: total / len(ids) for layer, total in sums.items()}
    return Calibration(moments, hashlib.sha256(text.read_bytes()).hexdigest(), len(ids))


@contextmanager
def _watched(model: Any, adapter: str) -> Iterator[dict[str, torch.Tensor]]:
    """Yield layer -> sum of h hᵀ, filled by every forward pass inside the block."""
    layers = dict(lora_layers(model, adapter))
    sums = {
        name: torch.zeros(layer.r[adapter], layer.r[adapter], dtype=torch.float64) for name, layer in layers.items()
    }

    def add(name: str, h: torch.Tensor) -> None:
        rows = h.reshape(-1, h.shape[-1]).double()  # (tokens, r)
        sums[name] += rows.T @ rows

    handles = []
    for name, layer in layers.items():
        if isinstance(layer, LoraEmbedding):  # A is looked up: h is a column of it
            a = layer.lora_embedding_A[adapter]
            handles.append(layer.register_forward_hook(lambda _, x, __, n=name, a=a: add(n, a.T[x[0]])))
        else:
            handles.append(layer.lora_A[adapter].register_forward_hook(lambda _, __, h, n=name: add(n, h)))
    try:
        yield sums
    finally:
        for handle in handles:
            handle.remove()
