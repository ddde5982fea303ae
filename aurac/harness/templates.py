"""lm-eval's templates, each compiled once.

lm-eval 0.4 compiles the text of a template again for every document and every use of it, which is most of the time of
a sweep over a small model. A compiled template has no state, so that keeping it changes no prompt and no answer.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from lm_eval.utils import env


def compile_once() -> None:
    """Let lm-eval's template environment remember what it compiled; called again, it does nothing."""
    compiled: Any = env.from_string
    if not hasattr(compiled, "cache_info"):
        env.from_string = lru_cache(maxsize=1024)(compiled)
