"""Chat templates, and which of their tokens are learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from aurac import testbed
from aurac.errors import DataError
from aurac_adapters.data.chat import apply_chat_template, plain_examples
from aurac_adapters.data.dataset import IGNORED, tokenize
from aurac_adapters.data.examples import Chat, Example, TemplatedText, alpaca
from aurac_adapters.training.trainer import train
from short_training import config, record

# <s> [ user words ] assistant words </s> ...; every mark is a word of the embedded model.
TEMPLATE = (
    "{% for m in messages %}"
    "{% if m['role'] == 'assistant' %} {{ m['content'] }} </s>"
    "{% else %}<s> translate : {{ m['content'] }} ={% endif %}"
    "{% endfor %}"
)
CHATML = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
ROLES_ALTERNATE = "{{ raise_exception('Conversation roles must alternate') }}"
LAST_ANSWER_ONLY = (
    "{% for m in messages %}{% if m['role'] == 'user' or loop.last %}<{{ m['content'] }}>{% endif %}{% endfor %}"
)


def tokenizer(template: str | None) -> Any:
    loaded = AutoTokenizer.from_pretrained(testbed.MODEL)
    loaded.chat_template = template
    return loaded


def chat(*contents: str) -> Chat:
    """User and assistant in turn."""
    return Chat(tuple((("user", "assistant")[i % 2], content) for i, content in enumerate(contents)), "data, line 7")


def test_what_is_learned_begins_after_the_generation_prompt_and_ends_with_the_turn() -> None:
    (text,) = apply_chat_template([chat("a", "b", "c", "d")], tokenizer(CHATML))
    assert text == TemplatedText(
        ("<|user|>\na<|end|>\n<|assistant|>\n", "b<|end|>\n", "<|user|>\nc<|end|>\n<|assistant|>\n", "d<|end|>\n")
    )


def test_a_prompt_with_its_completion_is_a_chat_without_the_blanks_and_the_frame_around_it() -> None:
    examples = [Example("What? ", " This."), alpaca({"instruction": "Add.", "input": "2 3", "output": "5"})]
    assert [text.parts for text in apply_chat_template(examples, tokenizer(CHATML))] == [
        ("<|user|>\nWhat?<|end|>\n<|assistant|>\n", "This.<|end|>\n"),
        ("<|user|>\nAdd.\n\n2 3<|end|>\n<|assistant|>\n", "5<|end|>\n"),
    ]


def test_messages_after_the_last_answer_are_left_out_and_a_system_message_is_given() -> None:
    messages = (("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c"))
    (text,) = apply_chat_template([Chat(messages)], tokenizer(CHATML))
    assert text.parts == ("<|system|>\ns<|end|>\n<|user|>\na<|end|>\n<|assistant|>\n", "b<|end|>\n")


def test_only_tokens_of_the_assistant_are_labels_and_special_tokens_are_the_templates_own() -> None:
    words = tokenizer(TEMPLATE)
    texts = apply_chat_template([chat("cabbage", "eats .", "eats", "cabbage cabbage")], words)
    (row,) = tokenize(texts, words, max_length=64).rows
    expected = "<s> translate : cabbage = eats . </s> <s> translate : eats = cabbage cabbage </s>"
    assert " ".join(words.convert_ids_to_tokens(row["input_ids"])) == expected
    learned = [i for i, label in enumerate(row["labels"]) if label != IGNORED]
    assert learned == [5, 6, 7, 13, 14, 15]
    assert all(row["labels"][i] == row["input_ids"][i] for i in learned)


def test_the_mask_is_the_one_that_transformers_takes_from_generation_marks() -> None:
    words = tokenizer(TEMPLATE)
    dialogue = chat("cabbage", "eats .", "eats", "cabbage cabbage")
    (row,) = tokenize(apply_chat_template([dialogue], words), words, max_length=64).rows
    words.chat_template = TEMPLATE.replace(
        " {{ m['content'] }} </s>", " {% generation %}{{ m['content'] }} </s>{% endgeneration %}"
    )
    theirs = words.apply_chat_template(
        [{"role": role, "content": content} for role, content in dialogue.messages],
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    assert row["input_ids"] == theirs["input_ids"]
    assert [label != IGNORED for label in row["labels"]] == [bool(mask) for mask in theirs["assistant_masks"]]


def test_a_chat_that_is_too_long_loses_its_end() -> None:
    words = tokenizer(TEMPLATE)
    texts = apply_chat_template([chat("cabbage", "eats .", "eats", "cabbage"), chat("eats eats eats", ".")], words)
    data = tokenize(texts, words, max_length=6)
    assert (len(data.rows), data.n_truncated, data.n_dropped) == (1, 1, 1)
    assert [label != IGNORED for label in data.rows[0]["labels"]] == [False] * 5 + [True]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            None,
            r"the tokenizer .*model has no chat template\. Take the chat version of the model, or data of prompt and",
        ),
        (ROLES_ALTERNATE, r"data, line 7: the chat template of .* refuses it: Conversation roles must alternate"),
        (LAST_ANSWER_ONLY, r"data, line 7: the chat template of .* writes a turn otherwise when another one follows"),
    ],
)
def test_a_template_that_cannot_be_used_is_one_clear_error(template: str | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        apply_chat_template([chat("a", "b", "c", "d")], tokenizer(template))


def test_messages_without_a_chat_template_are_refused() -> None:
    with pytest.raises(DataError, match=r"data, line 7 holds messages, .* Use --chat-template"):
        plain_examples([Example("a", "b"), chat("a", "b")])


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_a_training_on_chats_records_the_template(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for path in testbed.MODEL.iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    tokenizer(TEMPLATE).save_pretrained(model)
    data = tmp_path / "chats.jsonl"
    messages = [{"role": "user", "content": "cabbage"}, {"role": "assistant", "content": "eats ."}]
    data.write_text(json.dumps({"messages": messages}) + "\n")
    out = train(config(tmp_path / "out", model=str(model), data=str(data), max_steps=1, chat_template=True))
    assert record(out)["config"]["chat_template"] is True
    assert record(out)["tokens"] == 8  # <s> translate : cabbage = eats . </s>
