"""What training an adapter took, in tokens: its own steps, and those of every adapter that it began with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aurac.ranks import default_ranks
from aurac_adapters.folder.budgets import parameters_at
from aurac_adapters.folder.folder import AdapterFolder
from aurac_adapters.folder.retrained import RankedFolder, RetrainedFolder
from aurac_adapters.folder.sidecar import SIDECAR, START, TOKENS

RECORD = "training.json"
"""The record that a training leaves beside its adapter."""


def about_adapter(found: RankedFolder, ranks: Sequence[int] | None) -> dict[str, Any]:
    """Return what a run record says of an adapter beside its identity: `parameters` by rank, and `training_tokens`.

    Args:
        found: A folder as `read_ranked` returns it.
        ranks: Those that are measured; None for the default, none of them where budgets are.
    """
    measured = default_ranks(found.method.max_rank) if ranks is None else ranks
    sizes = {str(rank): size for rank, size in parameters_at(found, measured).items()}
    tokens = spent_on(found)
    return {**({"parameters": sizes} if sizes else {}), **({} if tokens is None else {TOKENS: tokens})}


def spent_on(found: RankedFolder) -> int | None:
    """Return the tokens that were read to train a whole curve; None where no file says so."""
    return tokens_of_all(found.members.values()) if isinstance(found, RetrainedFolder) else training_tokens(found)


def training_tokens(found: AdapterFolder) -> int | None:
    """Return the tokens that were read to train an adapter, from the first one on; None where no file says so.

    A rotation costs none: a rotated adapter has those of the adapter that it was made from.
    """
    record = _json(found.path / RECORD)
    if record.get("status") == "finished":
        return _count(record.get(TOKENS, record.get("tokens")))
    return _count(_json(found.path / SIDECAR).get(TOKENS)) if found.has_sidecar else None


def tokens_of_all(members: Iterable[AdapterFolder]) -> int | None:
    """Return the tokens that were read to train several adapters; None where one of them does not say.

    What some of them began with is counted once, and not again where it is one of them itself.
    """
    members = list(members)
    total, begun = 0, {}
    for member in members:
        record = _json(member.path / RECORD)
        own, start = _count(record.get("tokens")), record.get(START)
        if record.get("status") != "finished" or own is None:
            return None
        total += own
        if isinstance(start, Mapping):
            begun[str(start.get("sha256"))] = _count(start.get(TOKENS))
    outside = [tokens for digest, tokens in begun.items() if digest not in {member.sha256 for member in members}]
    known = [tokens for tokens in outside if tokens is not None]
    return total + sum(known) if len(known) == len(outside) else None


def _json(path: Path) -> Mapping[str, Any]:
    """Return what a file holds; nothing where there is none, or it is damaged: the cost is then not known."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
