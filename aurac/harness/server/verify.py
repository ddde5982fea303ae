"""Whether a server serves what is scored: a few tokens at every rank, beside the local adapter."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from aurac.harness.model import load_base
from aurac.harness.opening import Base, EngineOptions, RankedSource
from aurac.harness.quiet import loading
from aurac.harness.server.client import Client, ServerError
from aurac.harness.server.completions import Row
from aurac.harness.server.probe import Abilities, log_probabilities, probe_rows

Values = NDArray[np.float64]
# Mean difference per token, in nats, that rounding alone can make: sums in another order in float32; rounded weights
# and activations in 16 bits (measured beside vLLM: 1e-5 in float32, 0.08 for whole answers in bfloat16).
TOLERANCE = {"float32": 2e-3, "bfloat16": 0.1, "float16": 0.05}


def verify(
    client: Client,
    names: Mapping[int, str],
    adapter: RankedSource,
    base: Base,
    options: EngineOptions,
    able: Abilities,
) -> float:
    """Compare the log-probabilities of some 40 tokens at every rank, rank 0 among them, and return how far they are.

    Args:
        client: Calls the server.
        names: Rank -> name at the server.
        adapter: The local adapter.
        base: The local base model, in the type in which the server computes.
        options: Device, and whether to say what is going on.
        able: How log-probabilities can be had.

    Returns:
        The largest mean difference per token, in nats.

    Raises:
        ServerError: If a rank differs; says by how much, where most, and whether another rank is served there.
    """
    if not able.scores:
        raise ServerError(f"nothing can be verified: {able.why.rstrip('.')}. Leave --verify out.")
    rows = probe_rows(base.tokenizer)
    ours = local_values(names, adapter, base, options, rows)
    allowed = TOLERANCE.get(base.dtype, TOLERANCE["bfloat16"])
    off = {}
    for rank, name in names.items():
        theirs = np.concatenate(log_probabilities(client, name, rows, able))
        off[rank] = float(np.abs(theirs - ours[rank]).mean())
        if not off[rank] <= allowed:
            raise ServerError(_differs(rank, name, theirs, ours, rows, base, allowed))
    if options.progress:
        which, most = ", ".join(names.values()), max(off.values())
        print(f"verified: {which}: the local adapter's log-probabilities to {most:.1g} nats per token", file=sys.stderr)
    return max(off.values())


def local_values(
    names: Mapping[int, str], adapter: RankedSource, base: Base, options: EngineOptions, rows: Sequence[Row]
) -> dict[int, Values]:
    """Return rank -> log-probability of every token of every row but its first, from the local adapter."""
    with loading(progress=options.progress):
        model, _ = load_base(
            base.name, base.dtype, options.device, trust_remote_code=base.trust_remote_code, config=base.config
        )
    adapter.resize(model, base.tokenizer)
    model, ranked = adapter.load(model, merge=False)
    found = {}
    for rank in sorted(names, reverse=True):
        ranked.set_rank(rank) if rank else ranked.set_base()
        found[rank] = np.concatenate([_of_row(model.eval(), row) for row in rows])
    return found


def _of_row(model: torch.nn.Module, row: Row) -> Values:
    tokens = torch.tensor([list(row)], device=next(model.parameters()).device)
    with torch.inference_mode():
        logits = model(input_ids=tokens).logits[0, :-1].float().log_softmax(-1)
    found: Values = logits.gather(1, tokens[0, 1:, None])[:, 0].double().cpu().numpy()
    return found


def _differs(
    rank: int, name: str, theirs: Values, ours: Mapping[int, Values], rows: Sequence[Row], base: Base, allowed: float
) -> str:
    """Say what differs, and which of our ranks it is instead, if it is one."""
    differences = np.abs(theirs - ours[rank])
    targets = [token for row in rows for token in row[1:]]
    worst = base.tokenizer.decode([targets[int(np.nan_to_num(differences, nan=np.inf).argmax())]])
    near = {other: float(np.abs(theirs - values).mean()) for other, values in ours.items()}
    other = min(near, key=lambda r: near[r])
    what = f"rank {rank}" if rank else "the base model"
    found = (
        f"It serves {f'rank {other}' if other else 'the base model alone'} there."
        if near[other] <= allowed
        else f"Its adapter, inference rule, base model or type is another one (we computed in {base.dtype}; --dtype)."
    )
    return (
        f"the server's {name} is not {what}: its log-probabilities differ from the local adapter's by "
        f"{differences.mean():.2g} nats per token ({differences.max():.2g} at {worst!r}; rounding allows {allowed:g}). "
        f"{found}"
    )
