"""Training data: where prompts and completions come from, and how they become token ids with a completion-only loss.

A training example is a prompt and its completion. `DATA` names published sets with their published prompt formats;
anything else is the path of a JSONL file with the keys `prompt` and `completion`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from aurac.errors import DataError, UnknownNameError
from aurac.registry import Registry

DATA = Registry(
    "data set",
    {
        "arc": "aurac_adapters.datasets_hub:arc",
        "gsm8k": "aurac_adapters.datasets_hub:gsm8k",
        "platypus": "aurac_adapters.datasets_hub:platypus",
    },
)

IGNORED = -100
"""The label that transformers' loss leaves out."""


@dataclass(frozen=True)
class Example:
    """A prompt, and the completion that is to follow it without anything in between."""

    prompt: str
    completion: str


@dataclass(frozen=True)
class TokenizedData:
    """Examples as token ids, and what was lost on the way.

    Attributes:
        rows: For each example `input_ids` and `labels`, equally long; a label is `IGNORED` in the prompt.
        n_examples: Examples that were given.
        n_truncated: Examples whose completion was cut at `max_length`.
        n_dropped: Examples left out because their prompt alone fills `max_length`.
        sha256: Of all rows, hex: two trainings with the same value saw the same tokens.
    """

    rows: tuple[dict[str, list[int]], ...]
    n_examples: int
    n_truncated: int
    n_dropped: int
    sha256: str


def load_examples(data: str) -> list[Example]:
    """Return the examples of a named set or of a JSONL file.

    Args:
        data: A name in `DATA`, or a path. A file that is named like a set needs a path with a slash ("./gsm8k").

    Raises:
        UnknownNameError: If it is neither a name nor a file.
        DataError: If the file or the set cannot be read, or holds nothing.
    """
    if data in DATA:
        examples: list[Example] = DATA[data]()
    elif Path(data).is_file():
        examples = read_jsonl(Path(data))
    elif Path(data).name != data or Path(data).suffix:
        raise DataError(f"no such data file: {data}. Give a JSONL file, or one of the sets {', '.join(sorted(DATA))}.")
    else:
        raise UnknownNameError("data set", data, DATA, advice="The path of a JSONL file also works.")
    if not examples:
        raise DataError(f"the data {data} holds no example; at least one is needed to train.")
    return examples


def read_jsonl(path: Path) -> list[Example]:
    """Return the examples of a file with one `{"prompt": ..., "completion": ...}` a line; empty lines are skipped.

    Raises:
        DataError: With file and line number, if a line is not JSON, lacks a key, or holds something else than text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}).") from error
    return [_parse(line, f"{path}, line {i}") for i, line in enumerate(lines, start=1) if line.strip()]


def _parse(line: str, where: str) -> Example:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where} is not JSON: {error.msg} (column {error.colno}).") from error
    if not isinstance(row, dict):
        raise DataError(f"{where} holds {row!r:.40}, not an object with the keys prompt and completion.")
    if missing := [key for key in ("prompt", "completion") if key not in row]:
        raise DataError(f"{where} lacks the key {' and '.join(missing)}; it has {', '.join(row) or 'none'}.")
    for key in ("prompt", "completion"):
        if not isinstance(row[key], str):
            raise DataError(f"{where}: {key} is {row[key]!r:.40}, not text.")
    return Example(row["prompt"], row["completion"])


def tokenize(examples: Sequence[Example], tokenizer: Any, *, max_length: int) -> TokenizedData:
    """Return token ids, with labels that leave out the prompt and an end-of-text token after the completion.

    Prompt and completion are tokenised together, as they are when the model is scored. The completion begins at the
    first token in which the joint text differs from the prompt alone: a token across the border counts as completion.

    Args:
        examples: What to train on.
        tokenizer: A transformers tokenizer.
        max_length: Tokens that an example may have; more are cut from the end of the completion.

    Raises:
        DataError: If no example is left, because every prompt alone fills `max_length`.

    Example:
        With the words of "a b = c d" as tokens 1 2 3 4 5, `<s>` 0 put in front and `</s>` 9, the prompt "a b =" and the
        completion " c d" give input_ids [0, 1, 2, 3, 4, 5, 9] and labels [-100, -100, -100, -100, 4, 5, 9].
    """
    prompts = _token_ids(tokenizer, [example.prompt for example in examples])
    joint = _token_ids(tokenizer, [example.prompt + example.completion for example in examples])
    rows, n_truncated, digest = [], 0, sha256()
    for prompt, tokens in zip(prompts, joint, strict=True):
        if tokenizer.eos_token_id is not None and tokens[-1:] != [tokenizer.eos_token_id]:
            tokens = [*tokens, tokenizer.eos_token_id]
        border = _common_prefix_length(prompt, tokens)
        if border >= max_length:
            continue
        n_truncated += len(tokens) > max_length
        row = {"input_ids": tokens[:max_length], "labels": ([IGNORED] * border + tokens[border:])[:max_length]}
        digest.update(repr((border, row["input_ids"])).encode())
        rows.append(row)
    if not rows:
        raise DataError(
            f"all {len(examples)} prompts have {max_length} tokens or more, so no completion is left to learn; "
            "raise max_length (the model's context permitting) or shorten the prompts."
        )
    return TokenizedData(tuple(rows), len(examples), n_truncated, len(examples) - len(rows), digest.hexdigest())


def _token_ids(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    # Not verbose: the tokenizer would warn of texts longer than the context, which are cut and counted here.
    ids: list[list[int]] = tokenizer(texts, return_attention_mask=False, verbose=False)["input_ids"]
    return ids


def _common_prefix_length(a: list[int], b: list[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
