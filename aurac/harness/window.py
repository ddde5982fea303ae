"""How many tokens a model reads, and the tasks that ask it to write more."""

from __future__ import annotations

from typing import Any

from lm_eval.models.utils import normalize_gen_kwargs, resolve_max_length

from aurac.errors import TaskError
from aurac.harness.engine.greedy import no_room
from aurac.harness.model import load_config, load_tokenizer
from aurac.harness.suite import Suite

MAX_GEN_TOKS = 256  # what lm-eval takes where a task does not say


def base_window(name_or_path: str, *, trust_remote_code: bool = False, config: Any = None) -> int | None:
    """Return the tokens that a base model reads, as lm-eval finds them, without loading its weights.

    Args:
        name_or_path: Folder, or name on the hub.
        trust_remote_code: Whether to run code that comes with the model.
        config: Its config, where `load_config` has read it before.

    Returns:
        None for encoder-decoder models, which write into a window of their own.
    """
    config = config or load_config(name_or_path, trust_remote_code=trust_remote_code)
    if getattr(config, "is_encoder_decoder", False):
        return None
    try:
        return int(resolve_max_length(config, None, default=0)) or int(
            resolve_max_length(config, load_tokenizer(name_or_path, trust_remote_code=trust_remote_code))
        )
    except (TypeError, ValueError):  # a config of another shape; lm-eval says so when the model is loaded
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
        asked = [i.args[1] for i in leaf.task.instances if i.request_type == "generate_until"]
        most = max((_new_tokens(options) for options in asked), default=0)
        if most >= window:
            raise TaskError(no_room(most, window, f"task {name!r}"))


def _new_tokens(options: Any) -> int:
    return int(normalize_gen_kwargs(options, MAX_GEN_TOKS)["max_gen_toks"])
