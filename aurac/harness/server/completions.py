"""`/v1/completions` asked for log-probabilities in the ways that servers know, and for texts.

Echo: the server returns the prompt's own log-probabilities, which it computes anew for every prompt. Chain: the server
returns those of named tokens behind a prompt, one prompt for each position, which its prefix cache makes cheap. Where
tokens cannot be named, as with llama.cpp, it is forced to write one of them, and says what that one's was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aurac.harness.hosted.decoding import SAMPLING, Decoding
from aurac.harness.server.client import Client, ServerError
from aurac.harness.server.names import LLAMACPP

Row = Sequence[int]
EXTENDED = ("vllm", "sglang")  # servers that take more than OpenAI's parameters, and say so in /models
_TOKEN = "token_id:"
_FORCE = 1000.0  # more than logits differ by
# transformers' order; llama.cpp by itself has the temperature last, which makes top_p another distribution.
_ORDER = ["penalties", "temperature", "top_k", "top_p", "min_p"]


@dataclass(frozen=True)
class Position:
    """What was said of one position.

    Attributes:
        values: Token -> log-probability, of the tokens that were asked for.
        likeliest: The likeliest token.
    """

    values: dict[int, float]
    likeliest: int


def echo(client: Client, model: str, rows: Sequence[Row]) -> list[list[tuple[float, bool]]]:
    """Return (log-probability, is the likeliest) of every token of every row but its first.

    Raises:
        ServerError: If the server does not echo, as llama.cpp does without a word.
    """
    body = {"prompt": [list(row) for row in rows], "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0}
    found = []
    for row, choice in zip(rows, choices(client, model, body, len(rows)), strict=True):
        said = choice.get("logprobs") or {}
        values, tops = said.get("token_logprobs") or [], said.get("top_logprobs") or []
        if min(len(values), len(tops)) < len(row) or any(value is None for value in values[1 : len(row)]):
            raise ServerError(
                f"the server ignores echo: it gave {len(values)} log-probabilities for a prompt of {len(row)} tokens."
            )
        pairs = zip(values[1 : len(row)], tops[1 : len(row)], strict=True)
        found.append([(float(value), float(value) >= max((top or {}).values(), default=value)) for value, top in pairs])
    return found


def chain(client: Client, model: str, rows: Sequence[Row], targets: Sequence[int]) -> list[Position]:
    """Return what follows each row: the log-probabilities of `targets`, and the likeliest token.

    Raises:
        ServerError: If the server does not know the parameter.
    """
    body = {
        "prompt": [list(row) for row in rows],
        "logprobs": 1,
        "logprob_token_ids": list(targets),
        "return_tokens_as_token_ids": True,
        "max_tokens": 1,
        "temperature": 0,
    }
    found = []
    for choice in choices(client, model, body, len(rows)):
        said = choice.get("logprobs") or {}
        top = {_token(name): float(value) for name, value in ((said.get("top_logprobs") or [{}])[0] or {}).items()}
        written = [_token(name) for name in said.get("tokens") or []]
        if not written or written[0] is None or not set(targets) <= top.keys():
            raise ServerError("the server gives no log-probabilities of tokens by number (logprob_token_ids).")
        found.append(Position({target: top[target] for target in targets}, written[0]))
    return found


def forced(client: Client, model: str, rows: Sequence[Row], targets: Sequence[int]) -> list[Position]:
    """Return what follows each row: the log-probability of the one target, and the likeliest token.

    Raises:
        ServerError: If the server does not write the target, or does not say which token is which.
    """
    (target,) = targets
    body = {
        "prompt": [list(row) for row in rows],
        "logprobs": 1,
        "logit_bias": [[target, _FORCE]],
        "max_tokens": 1,
        "temperature": 0,
    }
    found = []
    for choice in choices(client, model, body, len(rows)):
        said = ((choice.get("logprobs") or {}).get("content") or [{}])[0]
        likeliest = (said.get("top_logprobs") or [{}])[0].get("id")
        if said.get("id") != target or likeliest is None:
            raise ServerError(f"the server gives no log-probability of token {target} where it is forced to write it.")
        found.append(Position({target: float(said["logprob"])}, int(likeliest)))
    return found


def texts(
    client: Client, model: str, rows: Sequence[Row], decoding: Decoding, *, software: str, seed: int | None = None
) -> list[tuple[list[int] | str, int]]:
    """Return (tokens, or the text where the server gives no tokens; number of tokens) written after each row.

    Raises:
        ServerError: If the texts are drawn in a way that this server may not know.
    """
    body: dict[str, Any] = {
        "prompt": [list(row) for row in rows],
        "max_tokens": decoding.most,
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
    }
    if decoding.until:
        body["stop"] = list(decoding.until)
    if seed is not None:
        body["seed"] = seed
    more = {name: getattr(decoding, name) for name in SAMPLING if name != "top_p"}
    more["repetition_penalty"] = decoding.repetition_penalty
    if software in EXTENDED:
        # Named, because vLLM takes what is not named from the model's generation_config.
        body |= more | {"stop_token_ids": list(decoding.stop_ids), "return_token_ids": True}
        body["top_k"] = decoding.top_k or -1
    elif software == LLAMACPP:
        body |= {"samplers": _ORDER, "top_k": decoding.top_k, "min_p": decoding.min_p}
        if decoding.repetition_penalty != 1:  # of all that was there, as in transformers
            body |= {"repeat_penalty": decoding.repetition_penalty}
            body |= {"repeat_last_n": max(map(len, rows)) + decoding.most}
    elif decoding.repetition_penalty != 1 or (decoding.sampled and (decoding.top_k or decoding.min_p)):
        odd = [name for name, value in more.items() if value != {**SAMPLING, "repetition_penalty": 1.0}[name]]
        raise ServerError(
            f"texts with {', '.join(odd)} cannot be asked of this server in OpenAI's parameters. Use --engine aurac."
        )
    found: list[tuple[list[int] | str, int]] = []
    for choice in choices(client, model, body, len(rows)):
        tokens, text = choice.get("token_ids"), choice.get("text")
        if not isinstance(text, str):
            raise ServerError("the server answers a completion without a text; it is no OpenAI-compatible server.")
        found.append((tokens, len(tokens)) if isinstance(tokens, list) else (text, 0))
    return found


def choices(client: Client, model: str, body: dict[str, Any], rows: int) -> list[dict[str, Any]]:
    """Return one choice for each prompt, in their order."""
    answer = client.post("/completions", {"model": model, **client.also.get(model, {}), **body})
    found = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(found, list) or len(found) != rows:
        given = len(found) if isinstance(found, list) else "no"
        raise ServerError(f"the server answers {rows} prompts with {given} texts; it does not take lists of prompts.")
    return sorted(found, key=lambda choice: choice.get("index", 0))


def _token(name: str) -> int | None:
    number = name.removeprefix(_TOKEN)
    return int(number) if name.startswith(_TOKEN) and number.isdecimal() else None
