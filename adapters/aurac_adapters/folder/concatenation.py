"""Adapters that are several put one behind the other: a prefix of them is one of the parts, and no smaller adapter.

PEFT makes them in two ways: PiSSA, OLoRA, CorDA and LoRA-GA are saved as plain LoRA by putting the trained factors
before the negative of the initial ones, and `add_weighted_adapter(combination_type="cat")` puts adapters in a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np

from aurac_adapters.folder.raw_tensors import Matrix
from aurac_adapters.layer.keys import Layer

_LAYERS = 32
"""So many layers are looked at, taken evenly."""
_ALIKE, _ALIKE_ALONE, _TIMES = 0.5, 0.9, 2.0
"""Least mean |cosine| of rows that have one start; chance gives about 1 / sqrt(width). The first where there are other
distances, which must be so many times less alike; the second where there are none: training makes rows alike too."""
_STEP, _SPREADS = 1.2, 8.0
"""Blocks of another weight differ by this factor in the length of their rows, and by so many spreads inside a block."""


def concatenation(factors: Sequence[tuple[Matrix, Matrix]]) -> str | None:
    """Return one sentence if the factors can be seen to be a concatenation, else None.

    Two signs are looked for, in the median over layers: rows of A (or columns of B) that are alike at one distance d
    and at no other, since both halves had one start; and rows of A whose length makes one step at one place, since
    `add_weighted_adapter` multiplies A by its weights. Parts with other starts and equal weights cannot be seen.

    Args:
        factors: A (r, in) and B (out, r) of the layers that `layers_to_look_at` names.
    """
    if not factors or len({len(a) for a, _ in factors}) > 1:  # ranks of their own: no place is the same in all layers
        return None
    a, b = [a for a, _ in factors], [b.T for _, b in factors]  # each (r, in), (r, out)
    if not all(np.isfinite(matrix).all() for matrix in (*a, *b)):
        return None
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


def layers_to_look_at(layers: Sequence[Layer]) -> Sequence[Layer]:
    """Return so many layers that a concatenation shows, taken evenly."""
    return layers[:: -(-len(layers) // _LAYERS)] if layers else layers


def _repeated(factors: Sequence[Matrix]) -> int | None:
    """Return the only distance d at which rows are alike, up to their sign; None if there is none, or not one."""
    rank = len(factors[0])
    if rank < 2:
        return None
    unit = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30) for rows in factors]
    grams = [np.abs(rows @ rows.T) for rows in unit]  # each (r, r)
    alike = [[gram.diagonal(d).mean() for d in range(1, rank)] for gram in grams]
    by_distance = np.median(alike, axis=0)  # (r - 1,), of d = 1, 2, ...
    best = int(by_distance.argmax()) + 1
    if rank < 2 * best:  # some rows would have no partner
        return None
    rest = [value for d, value in enumerate(by_distance, start=1) if d % best]  # three equal parts are alike at 2 d too
    least = max(_ALIKE, _TIMES * max(rest)) if rest else _ALIKE_ALONE
    return best if by_distance[best - 1] >= least else None


def _step(factors: Sequence[Matrix]) -> int | None:
    """Return where the length of the rows makes one clear step, at the same place in all layers; else None."""
    lengths = np.array([np.linalg.norm(rows, axis=1) for rows in factors], dtype=np.float64)  # (layers, r)
    if lengths.shape[1] < 4 or (lengths == 0).any():
        return None
    logs = np.log(lengths)
    for place in range(2, logs.shape[1] - 1):
        first, second = logs[:, :place], logs[:, place:]
        step = np.abs(first.mean(axis=1) - second.mean(axis=1))
        spread = np.maximum(first.std(axis=1, ddof=1), second.std(axis=1, ddof=1))
        # The smallest of the steps: one layer that does not show it is a no.
        if np.median(step / np.maximum(spread, 1e-30)) > _SPREADS and step.min() > log(_STEP):
            return place
    return None
