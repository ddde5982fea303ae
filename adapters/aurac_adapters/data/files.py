"""JSONL files of training examples, in formats that the keys of the first row tell apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurac.errors import DataError
from aurac_adapters.data.examples import Chat, Example, alpaca
from aurac_adapters.data.styles import STANDARD, PromptStyle

ROLES = ("system", "user", "assistant")
Row = dict[str, Any]


@dataclass(frozen=True)
class RowFormat:
    """A kind of row: which keys it has, of which type, and what example it makes."""

    keys: tuple[str, ...]
    parse: Callable[[Row, str, PromptStyle], Example | Chat]
    optional: tuple[str, ...] = ()
    kind: type = str

    def check(self, row: Row, where: str) -> None:
        """Raise `DataError` if a key is missing or holds something of another type."""
        if missing := [key for key in self.keys if key not in row]:
            other = any(row.keys() >= set(each.keys) for each in FORMATS)
            rule = f" The first row has {' and '.join(self.keys)}, so every row must." if other else ""
            has = ", ".join(row) or "none"
            raise DataError(f"{where} lacks the key {' and '.join(missing)}; it has {has}.{rule}")
        for key in (*self.keys, *(key for key in self.optional if row.get(key) is not None)):
            if not isinstance(row[key], self.kind):
                wanted = "text" if self.kind is str else "a list of messages"
                raise DataError(f"{where}: {key} is {row[key]!r:.40}, not {wanted}.")


def read_jsonl(path: Path, style: PromptStyle = STANDARD) -> list[Example | Chat]:
    """Return the examples of a file with one JSON object a line; empty lines are skipped.

    The keys of the first row say which of `FORMATS` all rows have; further keys are ignored. Of the style, prompts with
    completions take only how they are tokenised.

    Raises:
        DataError: With file and line number, if a line is not JSON, lacks a key, or holds something else than text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # not splitlines: JSON may hold U+2028 as it is
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}).") from error
    _check_one_row_a_line(path, lines)
    examples: list[Example | Chat] = []
    row_format = None
    for i, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{path}, line {i}"
            row = _row(line, where)
            row_format = row_format or _format_of(row, where)
            row_format.check(row, where)
            examples.append(row_format.parse(row, where, style))
    return examples


def _check_one_row_a_line(path: Path, lines: list[str]) -> None:
    """Raise `DataError` for a JSON array, on one line or many, and for an object that goes over several lines."""
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("["):
        raise DataError(f"{path} is one JSON array; one row a line is needed. Rewrite it with jq -c '.[]'.")
    if first == "{":
        raise DataError(f"{path} has a row over several lines; one row a line is needed. Rewrite it with jq -c .")


def _row(line: str, where: str) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where} is not JSON: {error.msg} (column {error.colno}).") from error
    if not isinstance(row, dict):
        raise DataError(f"{where} holds {row!r:.40}, not an object with the keys {_known()}.")
    return row


def _format_of(row: Row, where: str) -> RowFormat:
    """Return the format that has most of its keys in this row."""
    found = max(FORMATS, key=lambda each: len(row.keys() & set(each.keys)))
    if not row.keys() & set(found.keys):
        raise DataError(f"{where} has the keys {', '.join(row) or 'none'}; a row has {_known()}.")
    return found


def _known() -> str:
    return ", or ".join(" and ".join(each.keys) for each in FORMATS)


def _chat(row: Row, where: str, _: PromptStyle) -> Chat:
    for i, message in enumerate(row["messages"], start=1):
        if not (isinstance(message, dict) and isinstance(message.get("content"), str)):
            raise DataError(f"{where}: message {i} is {message!r:.60}, not an object with role and content as text.")
        if message.get("role") not in ROLES:
            raise DataError(f"{where}: message {i} has role {message.get('role')!r}; known: {', '.join(ROLES)}.")
    messages = tuple((message["role"], message["content"]) for message in row["messages"])
    if not any(role == "assistant" for role, _ in messages):
        raise DataError(f"{where} has no message of the assistant, so there is nothing to learn. Leave the row out.")
    return Chat(messages, where)


def _as_it_is(row: Row, _: str, style: PromptStyle) -> Example:
    return Example(row["prompt"], row["completion"], apart=style.apart)


FORMATS = (
    RowFormat(("prompt", "completion"), _as_it_is),
    RowFormat(("instruction", "output"), lambda row, _, style: alpaca(row, style), optional=("input",)),
    RowFormat(("messages",), _chat, kind=list),
)
