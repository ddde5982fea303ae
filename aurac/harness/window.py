"""How many tokens a model reads, and the tasks that ask it to write more."""

from __future__ import annotations

from typing import Any

from lm_eval.models.utils import normalize_gen_kwargs, resolve_max_length

from aurac.errors import TaskError
from aurac.harness.engine.greedy import no_room
from aurac.harness.model import load_tokenizer
from aurac.harness.suite import Suite

MAX_GEN_TOKS = 256  # what lm-eval takes where a task does not say


def base_window(name_or_path: str, config: Any, *, trust_remote_code: bool = False) -> int | None:
    """Return the tokens that a base model reads, as lm-eval finds them, without loading its weights.

    None for encoder-decoder models, which write into a window of their own, and where the config has another shape.
    """
    if getattr(config, "is_encoder_decoder", False):
        return None
    try:
        if window := int(resolve_max_length(config, None, default=0)):
            return window
        tokenizer = load_tokenizer(name_or_path, trust_remote_code=trust_remote_code)
        return int(resolve_max_length(config, tokenizer))
    except (TypeError, ValueError):  # lm-eval says what is wrong when the model is loaded
        return None


def check_room(suite: Suite, window: int | None) -> None:
    """Raise `TaskError` if a task asks for so many new tokens that the window leaves none for its prompt.

    Args:
        suite: The tasks, built.
        window: Tokens that the model reads; None if there is no such limit.
    """
    if window is None:
        return
    for name, leaf in suite.leaves.items():
        asked = [i.args[1] for i in leaf.instances if i.request_type == "generate_until"]
        most = max((_new_tokens(options) for options in asked), default=0)
        if most >= window:
            raise TaskError(no_room(most, window, f"task {name!r}"))


def _new_tokens(options: Any) -> int:
    return int(normalize_gen_kwargs(options, MAX_GEN_TOKS)["max_gen_toks"])
