"""The keys and values of a header: computed once, read by every document behind it.

They depend on the weights and on the adapter's rank, so they live no longer than the scoring of their family.
"""

from __future__ import annotations

import numpy as np
from transformers.cache_utils import Cache

from aurac.harness.engine.forward import Forward, causal_behind
from aurac.harness.engine.kv import new_cache
from aurac.harness.engine.plan import Family


def header_cache(family: Family, parent: Cache | None, forward: Forward) -> Cache:
    """Forward a family's header once and return its keys and values, behind those of the parent."""
    length, before = len(family.header), family.depth - len(family.header)
    forward.work.headers += 1
    with forward.work.phase("header"):
        cache = new_cache(family.depth, header=parent)
        forward(
            family.header[None],
            rows=np.zeros(0, dtype=np.int64),
            real=length,
            positions=np.arange(before, family.depth)[None],
            visible=causal_behind(before, length) if before else None,
            cache=cache,
        )
    return cache
