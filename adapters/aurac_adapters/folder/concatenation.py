"""Adapters that are several put one behind the other: a prefix of them is one of the parts, and no smaller adapter.

PEFT makes them in two ways: PiSSA, OLoRA, CorDA and LoRA-GA are saved as plain LoRA by putting the trained factors
before the negative of the initial ones, and `add_weighted_adapter(combination_type="cat")` puts adapters in a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log

import torch

from aurac_adapters.layer.keys import Layer, lora_layers_of

_LAYERS = 32
"""So many layers are looked at, taken evenly."""
_ALIKE, _NOT_ALIKE = 0.8, 0.4
"""Mean |cosine| of rows that are copies of one start, and of any others; chance gives about 1 / sqrt(width)."""
_STEP, _SPREADS = 1.2, 8.0
"""Blocks of another weight differ by this factor in the length of their rows, and by so many spreads inside a block."""


def concatenation(tensors: Mapping[str, torch.Tensor]) -> str | None:
    """Return one sentence if the factors can be seen to be a concatenation, else None.

    Two signs are looked for, in the median over layers: rows of A (or columns of B) that are alike at one distance d
    and at no other, since both halves had one start; and rows of A whose length makes one step at one place, since
    `add_weighted_adapter` multiplies A by its weights. Parts with other starts and equal weights cannot be seen.

    Args:
        tensors: All tensors of the adapter.
    """
    layers = _some(lora_layers_of(tensors))
    if len({len(tensors[layer.a]) for layer in layers}) > 1:  # ranks of their own: nothing has one place in all layers
        return None
    a = [tensors[layer.a].float() for layer in layers]  # each (r, in)
    b = [tensors[layer.b].float().T for layer in layers]  # each (r, out)
    sign = None
    if distance := _repeated(a) or _repeated(b):
        sign = f"rows i and i + {distance} of lora_A, or columns of lora_B, are alike"
    elif step := _step(a):
        sign = f"the rows of lora_A have another length from row {step + 1} on, in every layer"
    if sign is None:
        return None
    return (
        f"the factors look like several adapters one behind the other, a sum or a difference ({sign}), as PEFT writes "
        "a converted PiSSA adapter or a weighted sum: ranks below the full one are parts of it and no smaller adapter. "
        "Rotate it first (aurac rotate), and use the result."
    )


def _some(layers: Sequence[Layer]) -> list[Layer]:
    return list(layers[:: -(-len(layers) // _LAYERS)])


def _repeated(factors: Sequence[torch.Tensor]) -> int | None:
    """Return the only distance d at which rows are alike, up to their sign; None if there is none, or not one."""
    rank = len(factors[0])
    if rank < 2:
        return None
    unit = [factor / factor.norm(dim=1, keepdim=True).clamp_min(1e-30) for factor in factors]
    grams = [(rows @ rows.T).abs() for rows in unit]  # each (r, r)
    alike = torch.tensor([[gram.diagonal(d).mean() for d in range(1, rank)] for gram in grams])
    by_distance = alike.median(dim=0).values  # (r - 1,)
    best = int(by_distance.argmax())
    others = torch.cat([by_distance[:best], by_distance[best + 1 :]])
    if by_distance[best] < _ALIKE or rank < 2 * (best + 1):  # more than half of the rows have a partner
        return None
    multiples = torch.tensor([(d + 1) % (best + 1) == 0 for d in range(rank - 1) if d != best], dtype=torch.bool)
    rest = others[~multiples]  # three equal parts are alike at 2 d too
    return best + 1 if rest.numel() == 0 or float(rest.max()) < _NOT_ALIKE else None


def _step(factors: Sequence[torch.Tensor]) -> int | None:
    """Return where the length of the rows makes one clear step, at the same place in all layers; else None."""
    lengths = torch.stack([factor.norm(dim=1) for factor in factors]).double()  # (layers, r)
    if lengths.shape[1] < 4 or bool((lengths == 0).any()):
        return None
    logs = lengths.log()
    for place in range(2, logs.shape[1] - 1):
        first, second = logs[:, :place], logs[:, place:]
        step = (first.mean(dim=1) - second.mean(dim=1)).abs()
        spread = torch.maximum(first.std(dim=1), second.std(dim=1))
        # The largest of the spreads and the smallest of the steps: one layer that does not show it is a no.
        if float((step / spread).median()) > _SPREADS and float(step.min()) > log(_STEP):
            return place
    return None
