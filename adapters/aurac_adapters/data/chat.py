"""Chat templates: messages become the text that the base model was taught to answer in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from aurac.errors import DataError
from aurac_adapters.data.examples import Chat, Example, TemplatedText


def apply_chat_template(examples: Sequence[Example | Chat], tokenizer: Any) -> list[TemplatedText]:
    """Return the examples as the tokenizer's chat template writes them.

    What the template puts after its generation prompt, up to the end of the turn, is learned: the assistant's words and
    the mark that ends them. Messages after the last one of the assistant are left out. A prompt with a completion
    is a chat of two messages, without the blanks around them.

    Args:
        examples: Prompts with completions, or chats.
        tokenizer: A transformers tokenizer with a chat template.

    Raises:
        DataError: If the tokenizer has no template, the template refuses a chat, or it writes earlier turns otherwise
            when others follow.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise DataError(
            f"the tokenizer {tokenizer.name_or_path} has no chat template. Take the chat version of the model, or data "
            "of prompt and completion without a chat template."
        )
    return [_templated(_as_chat(example, i), tokenizer) for i, example in enumerate(examples, start=1)]


def plain_examples(examples: Sequence[Example | Chat]) -> list[Example]:
    """Return the examples, or raise `DataError` if there is a chat among them, which needs a template."""
    if chat := next((example for example in examples if isinstance(example, Chat)), None):
        raise DataError(f"{chat.where} holds messages, which need the chat template of the model. Use --chat-template.")
    return [example for example in examples if isinstance(example, Example)]


def _as_chat(example: Example | Chat, number: int) -> Chat:
    if isinstance(example, Chat):
        return example
    prompt = example.prompt if example.user_turn is None else example.user_turn
    return Chat((("user", prompt.strip()), ("assistant", example.completion.strip())), f"example {number}")


def _templated(chat: Chat, tokenizer: Any) -> TemplatedText:
    """Return the text in parts, cut before and after each message of the assistant."""
    texts = [""]
    for i, (role, _) in enumerate(chat.messages):
        if role == "assistant":
            texts.append(_text(chat, i, tokenizer, add_generation_prompt=True))
            texts.append(_text(chat, i + 1, tokenizer, add_generation_prompt=False))
    for shorter, longer in pairwise(texts):
        if not longer.startswith(shorter):
            raise DataError(
                f"{chat.where}: the chat template of {tokenizer.name_or_path} writes a turn otherwise when another one "
                "follows, so what is given and what is learned cannot be told apart. Use chats with one answer, or "
                "data of prompt and completion."
            )
    return TemplatedText(tuple(b.removeprefix(a) for a, b in pairwise(texts)))


def _text(chat: Chat, n_messages: int, tokenizer: Any, *, add_generation_prompt: bool) -> str:
    from jinja2 import TemplateError

    if not n_messages:
        return ""
    messages = [{"role": role, "content": content} for role, content in chat.messages[:n_messages]]
    try:
        text: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt)
    except TemplateError as error:
        raise DataError(f"{chat.where}: the chat template of {tokenizer.name_or_path} refuses it: {error}") from error
    return text
