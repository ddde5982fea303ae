"""JSONL files of prompts and completions, of instructions, and of chats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aurac.errors import DataError
from aurac_adapters.data.dataset import load_examples
from aurac_adapters.data.examples import Chat, Example
from aurac_adapters.data.files import read_jsonl

ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\nAdd.\n\n### Response:\n"
)
ALPACA_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
    "response that appropriately completes the request.\n\n### Instruction:\nAdd.\n\n### Input:\n2 3\n\n### Response:\n"
)
CHAT = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]


def test_a_jsonl_file_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(
        '{"prompt": "a", "completion": " b"}\n\n{"prompt": "ä", "completion": "", "id": 7}\n', encoding="utf-8"
    )
    assert read_jsonl(path) == [Example("a", " b"), Example("ä", "")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": "a"', r"data.jsonl, line 2 is not JSON: .* \(column \d+\)"),
        ('["a", "b"]', r"line 2 holds \['a', 'b'\], not an object with the keys prompt and completion"),
        ('{"prompt": "a", "answer": "b"}', r"line 2 lacks the key completion; it has prompt, answer\."),
        ("{}", r"line 2 lacks the key prompt and completion; it has none\."),
        ('{"prompt": "a", "completion": 3}', r"line 2: completion is 3, not text"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"prompt": "a", "completion": " b"}\n' + line)
    with pytest.raises(DataError, match=message):
        load_examples(str(path))


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"prompt": "\xff"}')
    with pytest.raises(DataError, match=r"data.jsonl is not UTF-8 text \(invalid start byte at byte 12\)"):
        load_examples(str(path))


def test_a_line_separator_inside_a_text_is_no_new_line(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"prompt": "a\u2028b\u0085c", "completion": " d"}\n', encoding="utf-8")
    assert read_jsonl(path) == [Example("a\u2028b\u0085c", " d")]


def test_a_byte_order_mark_is_no_part_of_the_data(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}', encoding="utf-8-sig")
    assert read_jsonl(path) == [Example("a", "b")]


@pytest.mark.parametrize("indent", [None, 0, 2, "\t"])
@pytest.mark.parametrize("before", ["", "\n  \n"])
def test_a_json_array_is_told_from_lines_however_it_is_laid_out(indent: Any, before: str, tmp_path: Path) -> None:
    path = tmp_path / "alpaca_data.json"
    path.write_text(before + json.dumps([{"instruction": "a", "output": "b"}] * 2, indent=indent))
    with pytest.raises(DataError, match=r"alpaca_data\.json is one JSON array; one row a line is needed. Rewrite it"):
        read_jsonl(path)
    path.write_text("[]")
    with pytest.raises(DataError, match=r"is one JSON array; one row a line is needed"):
        read_jsonl(path)


def test_rows_over_several_lines_are_named_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"instruction": "a", "output": "b"}, indent=2))
    with pytest.raises(DataError, match=r"rows\.json has a row over several lines; one row a line is needed"):
        read_jsonl(path)


def test_rows_of_instruction_input_and_output_get_alpacas_template(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    rows = [
        {"instruction": "Add.", "input": "2 3", "output": "5"},
        {"instruction": "Add.", "input": "", "output": "?"},
        {"instruction": "Add.", "input": None, "output": "?"},
        {"instruction": "Add.", "output": "?", "source": "mine"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert read_jsonl(path) == [Example(ALPACA_INPUT, "5"), *[Example(ALPACA, "?")] * 3]


def test_rows_of_messages_are_chats(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps({"messages": CHAT}) + "\n")
    assert read_jsonl(path) == [Chat((("user", "hello"), ("assistant", "hi")))]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            [{"prompt": "a", "completion": "b"}, {"instruction": "a", "output": "b"}],
            r"line 2 lacks the key prompt and completion; it has instruction, output\. The first row has prompt and "
            r"completion, so every row must",
        ),
        (
            [{"messages": CHAT}, {"prompt": "a", "completion": "b"}],
            r"line 2 lacks the key messages;.* The first row has",
        ),
        (
            [{"text": "a"}],
            r"line 1 has the keys text; a row has prompt and completion, or instruction and output, or messages\.",
        ),
        ([{"instruction": "a", "input": "b"}], r"line 1 lacks the key output; it has instruction, input\."),
        ([{"instruction": "a", "input": 3, "output": "b"}], r"line 1: input is 3, not text"),
        ([{"messages": "hello"}], r"line 1: messages is 'hello', not a list of messages"),
        (
            [{"messages": CHAT}, {"messages": [*CHAT, "bye"]}],
            r"line 2: message 3 is 'bye', not an object with role and",
        ),
        (
            [{"messages": [{"role": "bot", "content": "a"}]}],
            r"message 1 has role 'bot'; known: system, user, assistant",
        ),
        ([{"messages": CHAT[:1]}], r"line 1 has no message of the assistant, so there is nothing to learn"),
    ],
)
def test_rows_that_do_not_fit_are_named(lines: list[object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(DataError, match=message):
        read_jsonl(path)
