"""How a text is to be written, from a task's options and the model's generation_config, in the words of servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lm_eval.models.utils import normalize_gen_kwargs
from transformers import GenerationConfig

from aurac.errors import TaskError
from aurac.harness.engine.greedy import OF_TASKS, PLAIN, SILENT, is_loud

SEED = 1234
# Ways of choosing among samples that every server has, and the value at which they do nothing.
SAMPLING: dict[str, float] = {"top_p": 1.0, "top_k": 0, "min_p": 0.0}
# Others: they matter only where a text is sampled, and servers do not have them.
_OTHER_SAMPLING: dict[str, float] = {"top_h": 1.0, "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0}
_TOP_K = 50  # what transformers takes where nobody says, which servers do not


@dataclass(frozen=True)
class Decoding:
    """How texts are written.

    Attributes:
        most: New tokens at most.
        until: Texts that end it, the end-of-text token's not among them.
        stop_ids: Tokens that end it.
        temperature: 0 for greedy decoding.
        top_p: Keep the likeliest tokens that have this probability together.
        top_k: Keep so many of the likeliest tokens; 0 for all.
        min_p: Keep tokens with at least this part of the largest probability.
        repetition_penalty: What logits of tokens that were there are divided by.
    """

    most: int
    until: tuple[str, ...]
    stop_ids: tuple[int, ...]
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0

    @property
    def sampled(self) -> bool:
        """Whether texts are drawn."""
        return self.temperature > 0


def make_decoding(
    options: Mapping[str, Any], settings: GenerationConfig, *, default_most: int, eos: int | None
) -> Decoding:
    """Return how HFLM would have the text written, or refuse what a server cannot do alike.

    Args:
        options: The task's `gen_kwargs`.
        settings: The model's generation_config, whose values HFLM uses where the options say nothing.
        default_most: New tokens where the options do not say.
        eos: The tokenizer's end-of-text token.

    Raises:
        TaskError: For beams, contrastive search and the like.

    Example:
        >>> make_decoding({"until": ["."], "do_sample": False}, GenerationConfig(), default_most=8, eos=2)
        Decoding(most=8, until=('.',), stop_ids=(2,), temperature=0.0, top_p=1.0, top_k=0, min_p=0.0, repetition_penalty=1.0)
    """  # noqa: E501
    kwargs = dict(normalize_gen_kwargs(dict(options), default_most))
    found = {name: value for name, value in settings.to_diff_dict().items() if name not in OF_TASKS | set(kwargs)}
    sampled = bool(kwargs["do_sample"])
    _refuse(kwargs, "the task's options", sampled, PLAIN)
    # Keys that transformers does not know, it does not look at.
    _refuse({n: v for n, v in found.items() if n in GenerationConfig().to_dict()}, "generation_config", sampled, set())
    both = {**{name: value for name, value in found.items() if value is not None}, **kwargs}
    ends = settings.eos_token_id
    ids = [*(ends if isinstance(ends, list) else [] if ends is None else [ends]), *([] if eos is None else [eos])]
    chosen: dict[str, Any] = {"repetition_penalty": float(both.get("repetition_penalty") or 1.0)}
    if sampled:
        chosen |= {name: type(neutral)(both.get(name, neutral) or neutral) for name, neutral in SAMPLING.items()}
        chosen |= {"temperature": float(both.get("temperature", 1.0)), "top_k": int(both.get("top_k", _TOP_K) or 0)}
        if chosen["temperature"] <= 0:
            raise TaskError("a task samples with temperature 0, which is no distribution. Give it do_sample: false.")
    return Decoding(kwargs["max_gen_toks"], tuple(kwargs["until"]), tuple(dict.fromkeys(ids)), **chosen)


def _refuse(options: Mapping[str, Any], where: str, sampled: bool, plain: set[str]) -> None:
    loud = [n for n, v in options.items() if n not in plain | SILENT | {"repetition_penalty"} and is_loud(n, v)]
    if sampled:
        loud += [n for n, neutral in _OTHER_SAMPLING.items() if options.get(n) not in (None, neutral)]
    if loud:
        raise TaskError(
            f"{where} ask for {', '.join(sorted(loud))}, which this engine cannot have done alike. Use --engine aurac."
        )
