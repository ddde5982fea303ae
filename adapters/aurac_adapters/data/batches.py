"""How examples become a batch: padded to the longest, or packed into one row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import DataCollatorWithFlattening, PreTrainedModel

from aurac.errors import ModelError
from aurac_adapters.data.dataset import IGNORED

Row = dict[str, list[int]]

_N_TOKENS = 4


def collate(rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    """Return a batch, (batch, longest), padded on the right; the padding is masked, so any token id serves.

    Example:
        >>> collate([{"input_ids": [5, 6], "labels": [-100, 6]}, {"input_ids": [7], "labels": [7]}])["labels"].tolist()
        [[-100, 6], [7, -100]]
    """
    tokens = [torch.tensor(row["input_ids"]) for row in rows]
    labels = [torch.tensor(row["labels"]) for row in rows]
    return {
        "input_ids": pad_sequence(tokens, batch_first=True),
        "attention_mask": pad_sequence([torch.ones_like(row) for row in tokens], batch_first=True),
        "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
    }


def packing_collator(model: PreTrainedModel) -> Callable[[Sequence[Row]], dict[str, Any]]:
    """Return transformers' collator that puts all examples of a batch into one row, (1, tokens).

    Positions begin again with each example, and from that transformers makes the mask that keeps examples apart.

    Raises:
        ModelError: If this model does not keep them apart.
    """
    with torch.no_grad():
        if not _keeps_examples_apart(model):
            raise ModelError(
                f"{type(model).__name__} lets packed examples see each other (attention: "
                f"{model.config._attn_implementation}). Train without packing."
            )
    return DataCollatorWithFlattening()  # type: ignore[no-any-return]


def _keeps_examples_apart(model: PreTrainedModel) -> bool:
    """Return whether a first example changes what is said about a second one far less than an earlier part of a text.

    It changes nothing in most models; in some, kernels that depend on the whole row round otherwise.
    """
    apart, together = torch.arange(_N_TOKENS).repeat(2), torch.arange(2 * _N_TOKENS)
    try:
        return _influence(model, apart) <= 0.1 * _influence(model, together)
    except TypeError:  # a model without position_ids
        return False


def _influence(model: PreTrainedModel, positions: torch.Tensor) -> float:
    """Return how much the logits of the last tokens change with the first ones, at these positions."""
    device = model.get_input_embeddings().weight.device
    last = torch.arange(_N_TOKENS)
    rows = torch.stack([torch.cat([last + other, last]) for other in (0, 1)])  # (2, 8)
    one, other = (
        model(input_ids=row[None].to(device), position_ids=positions[None].to(device)).logits[:, _N_TOKENS:].float()
        for row in rows
    )
    return float((one - other).norm())
