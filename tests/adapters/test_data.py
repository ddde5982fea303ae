"""Where training examples come from and how they become token ids."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from aurac import testbed
from aurac.errors import DataError, UnknownNameError
from aurac_adapters.data.dataset import IGNORED, Example, load_examples, tokenize


class Words:
    """A tokenizer whose ids are written in the tests: <s> 0, </s> 9, and each letter its place in the alphabet."""

    eos_token_id: int | None = 9

    def __call__(self, texts: list[str], **_options: bool) -> dict[str, list[list[int]]]:
        return {"input_ids": [[0, *("_abcdefgh=".index(word) for word in text.split())] for text in texts]}


class Pairs(Words):
    """Joins "= c" into one token (10), as byte-pair tokenizers join across a border."""

    def __call__(self, texts: list[str], **_options: bool) -> dict[str, list[list[int]]]:
        return super().__call__([text.replace("= c", "h") for text in texts])


def test_the_prompt_is_masked_and_the_completion_ends_with_the_end_of_text() -> None:
    data = tokenize([Example("a b", " c d")], Words(), max_length=10)
    assert data.rows == ({"input_ids": [0, 1, 2, 3, 4, 9], "labels": [IGNORED] * 3 + [3, 4, 9]},)
    assert (data.n_truncated, data.n_dropped) == (0, 0)


def test_a_token_across_the_border_counts_as_completion() -> None:
    # "a =" alone is [0, 1, 9]; "a = c d" is [0, 1, 8, 4]: the joint text differs from the second token on.
    (row,) = tokenize([Example("a =", " c d")], Pairs(), max_length=10).rows
    assert row == {"input_ids": [0, 1, 8, 4, 9], "labels": [IGNORED, IGNORED, 8, 4, 9]}


def test_the_end_of_text_is_not_doubled() -> None:
    (row,) = tokenize([Example("a", " b =")], Words(), max_length=10).rows  # "=" is token 9, as </s> is
    assert row["input_ids"] == [0, 1, 2, 9]


def test_a_tokenizer_without_end_of_text_gets_none() -> None:
    words = Words()
    words.eos_token_id = None
    assert tokenize([Example("a", " b")], words, max_length=10).rows[0]["input_ids"] == [0, 1, 2]


def test_what_is_truncated_and_what_is_dropped_is_counted() -> None:
    short, long, prompt_only = Example("a", " b"), Example("a", " b c d e"), Example("a b c d", " e")
    data = tokenize([short, long, prompt_only], Words(), max_length=4)
    assert [row["input_ids"] for row in data.rows] == [[0, 1, 2, 9], [0, 1, 2, 3]]
    assert [row["labels"] for row in data.rows] == [[IGNORED, IGNORED, 2, 9], [IGNORED, IGNORED, 2, 3]]
    assert (data.n_truncated, data.n_dropped) == (1, 1)


WORDS = st.lists(st.sampled_from("abcdefgh"), max_size=6).map(" ".join)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5), st.integers(2, 12))
def test_labels_are_the_tokens_of_the_completion_and_nothing_is_lost_uncounted(
    texts: list[tuple[str, str]], max_length: int
) -> None:
    examples = [Example(prompt, f" {completion}") for prompt, completion in texts]
    lengths = [(1 + len(prompt.split()), 1 + len(completion.split())) for prompt, completion in texts]  # with <s>, </s>
    kept = [(prompt, completion) for prompt, completion in lengths if prompt < max_length]
    if not kept:
        with pytest.raises(DataError, match="no completion is left to learn"):
            tokenize(examples, Words(), max_length=max_length)
        return
    data = tokenize(examples, Words(), max_length=max_length)
    assert (data.n_examples, data.n_dropped) == (len(examples), len(examples) - len(kept))
    assert data.n_truncated == sum(prompt + completion > max_length for prompt, completion in kept)
    for row, (prompt, completion) in zip(data.rows, kept, strict=True):
        n = min(prompt + completion, max_length)
        assert len(row["input_ids"]) == n
        assert row["labels"] == [IGNORED] * prompt + row["input_ids"][prompt:n]


def test_data_without_any_completion_left_is_an_error() -> None:
    with pytest.raises(DataError, match=r"all 2 prompts have 3 tokens or more, .* raise max_length"):
        tokenize([Example("a b", " c")] * 2, Words(), max_length=3)


def test_the_fingerprint_tells_tokens_apart() -> None:
    one, same, other = (tokenize([Example("a", text)], Words(), max_length=9).sha256 for text in (" b", " b", " c"))
    assert one == same != other


def test_training_ids_are_the_ids_that_scoring_asks_for() -> None:
    tokenizer = AutoTokenizer.from_pretrained(testbed.MODEL)
    example = load_examples(str(testbed.TRAIN))[0]
    (row,) = tokenize([example], tokenizer, max_length=64).rows
    text = tokenizer.convert_ids_to_tokens(row["input_ids"])
    assert text == ["<s>", *example.prompt.split(), *example.completion.split(), "</s>"]
    assert sum(label == IGNORED for label in row["labels"]) == 1 + len(example.prompt.split())


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.touch()
    with pytest.raises(DataError, match="holds no example"):
        load_examples(str(path))


def test_a_folder_is_no_data_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"is a folder\. Give a JSONL file, or NAME={tmp_path} for a copy of arc, "):
        load_examples(str(tmp_path))


def test_a_missing_file_and_an_unknown_name_are_told_apart() -> None:
    with pytest.raises(
        DataError, match=r"no such data file: runs/x\.jsonl\. Give a JSONL file, or one of the sets arc, "
    ):
        load_examples("runs/x.jsonl")
    with pytest.raises(
        UnknownNameError, match=r"unknown data set 'gsm8'\. Did you mean 'gsm8k'\?.*JSONL file also works"
    ):
        load_examples("gsm8")
