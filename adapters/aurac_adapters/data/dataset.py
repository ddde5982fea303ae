"""Training data: where prompts and completions come from, and how they become token ids with a completion-only loss.

A training example is a prompt and its completion, or a chat. `DATA` names published sets with their published prompt
formats, from the hub or, as `NAME=PATH`, from a copy; anything else is the path of a JSONL file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

from aurac.errors import DataError, UnknownNameError
from aurac.registry import Registry
from aurac_adapters.data.examples import Chat, Example, TemplatedText
from aurac_adapters.data.files import read_jsonl
from aurac_adapters.data.styles import PROMPT_STYLES

DATA = Registry(
    "data set",
    {
        "arc": "aurac_adapters.data.hub:arc",
        "gsm8k": "aurac_adapters.data.hub:gsm8k",
        "platypus": "aurac_adapters.data.hub:platypus",
    },
    group="aurac.data",
)

IGNORED = -100
"""The label that transformers' loss leaves out."""


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


def load_examples(data: str, prompt_style: str = "standard") -> list[Example | Chat]:
    """Return the examples of a named set or of a JSONL file.

    Args:
        data: A name in `DATA`; `NAME=PATH` for a copy of that set on this machine; or the path of a JSONL file. A file
            that is named like a set needs a path with a slash ("./gsm8k").
        prompt_style: A name in `PROMPT_STYLES`.

    Raises:
        UnknownNameError: If it is neither a name nor a file, or there is no such style.
        DataError: If the file or the set cannot be read, or holds nothing.
    """
    style = PROMPT_STYLES[prompt_style]
    check_data(data)
    name, _, copy = data.partition("=")
    examples: list[Example | Chat]
    if data in DATA:
        examples = DATA[data](style=style)
    elif Path(data).is_file():
        examples = read_jsonl(Path(data), style)
    else:
        examples = DATA[name](copy, style)
    if not examples:
        raise DataError(f"the data {data} holds no example; at least one is needed to train.")
    return examples


def check_data(data: str) -> None:
    """Raise what `load_examples` raises for what is neither a set nor a file; nothing is read."""
    name = data.partition("=")[0]
    if name in DATA or Path(data).is_file():
        return
    if Path(data).is_dir():
        raise DataError(
            f"{data} is a folder. Give a JSONL file, or NAME={data} for a copy of {', '.join(sorted(DATA))}."
        )
    if Path(data).name != data or Path(data).suffix:
        raise DataError(f"no such data file: {data}. Give a JSONL file, or one of the sets {', '.join(sorted(DATA))}.")
    raise UnknownNameError("data set", name, DATA, advice="The path of a JSONL file also works.")


def tokenize(examples: Sequence[Example | TemplatedText], tokenizer: Any, *, max_length: int) -> TokenizedData:
    """Return token ids, with labels that leave out what is given, and an end-of-text token after a completion.

    Prompt and completion are tokenised together, as they are when the model is scored. The completion begins at the
    first token in which the joint text differs from the prompt alone: a token across the border counts as completion.
    Examples that are marked `apart` are tokenised one by one instead: the prompt, then the completion.
    The text of a chat template is cut in the same way at each of its borders; it has its own marks, so none is added.

    Args:
        examples: What to train on.
        tokenizer: A transformers tokenizer.
        max_length: Tokens that an example may have; more are cut from the end.

    Raises:
        DataError: If no example is left, because every prompt alone fills `max_length`.

    Example:
        With the words of "a b = c d" as tokens 1 2 3 4 5, `<s>` 0 put in front and `</s>` 9, the prompt "a b =" and the
        completion " c d" give input_ids [0, 1, 2, 3, 4, 5, 9] and labels [-100, -100, -100, -100, 4, 5, 9].
    """
    rows, n_truncated, digest = [], 0, sha256()
    for tokens, borders in _with_borders(examples, tokenizer):
        if borders[0] >= max_length:
            continue
        n_truncated += len(tokens) > max_length
        labels = [IGNORED] * len(tokens)
        edges = [*borders, len(tokens)]
        for begin, end in zip(edges[::2], edges[1::2], strict=False):
            labels[begin:end] = tokens[begin:end]
        row = {"input_ids": tokens[:max_length], "labels": labels[:max_length]}
        digest.update(repr((*borders, row["input_ids"])).encode())
        rows.append(row)
    if not rows:
        raise DataError(
            f"all {len(examples)} prompts have {max_length} tokens or more, so no completion is left to learn; "
            "raise max_length (the model's context permitting) or shorten the prompts."
        )
    return TokenizedData(tuple(rows), len(examples), n_truncated, len(examples) - len(rows), digest.hexdigest())


def _with_borders(examples: Sequence[Example | TemplatedText], tokenizer: Any) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the token ids of each example, and where what is learned begins, ends, begins again, ..."""
    if isinstance(examples[0], Example) and examples[0].apart:
        yield from _apart(examples, tokenizer)
        return
    # What is given, the same with what is learned after it, the same with what is given next, ... and the whole.
    prefixes = [list(accumulate(example.parts)) for example in examples]
    templated = isinstance(examples[0], TemplatedText)
    ids = iter(_token_ids(tokenizer, [text for texts in prefixes for text in texts], add_special_tokens=not templated))
    for texts in prefixes:
        *earlier, tokens = islice(ids, len(texts))
        eos = tokenizer.eos_token_id
        if not templated and eos is not None and tokens[-1:] != [eos]:
            tokens = [*tokens, eos]
        yield tokens, [_common_prefix_length(prefix, tokens) for prefix in earlier]


def _apart(examples: Sequence[Example | TemplatedText], tokenizer: Any) -> Iterator[tuple[list[int], list[int]]]:
    prompts = _token_ids(tokenizer, [example.parts[0] for example in examples], add_special_tokens=True)
    completions = _token_ids(tokenizer, [example.parts[1] for example in examples], add_special_tokens=False)
    for given, learned in zip(prompts, completions, strict=True):
        eos = tokenizer.eos_token_id
        yield [*given, *learned, *([] if eos is None else [eos])], [len(given)]


def _token_ids(tokenizer: Any, texts: list[str], *, add_special_tokens: bool) -> list[list[int]]:
    # Not verbose: the tokenizer would warn of texts longer than the context, which are cut and counted here.
    ids: list[list[int]] = tokenizer(
        texts, add_special_tokens=add_special_tokens, return_attention_mask=False, verbose=False
    )["input_ids"]
    return ids


def _common_prefix_length(a: list[int], b: list[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
