"""What a training example is before it becomes token ids: a prompt with its completion, or a chat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Alpaca's template as alpaca-lora writes it, with a line break after "### Response:"; Platypus trains with its code.
_ALPACA = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
_ALPACA_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request."
)


@dataclass(frozen=True)
class Example:
    """A prompt, and the completion that is to follow it without anything in between.

    Attributes:
        prompt: What is given.
        completion: What is learned.
        user_turn: The prompt without the frame that a format puts around it, for a chat template, which puts its own;
            None where there is no such frame.
    """

    prompt: str
    completion: str
    user_turn: str | None = field(default=None, compare=False)

    @property
    def parts(self) -> tuple[str, ...]:
        """What is given and what is learned, in turn; joined they are the whole text."""
        return (self.prompt, self.completion)


@dataclass(frozen=True)
class Chat:
    """Messages of which the assistant's are learned; a chat template makes a text of them.

    Attributes:
        messages: Role ("system", "user" or "assistant") and content of each.
        where: File and line, for error messages.
    """

    messages: tuple[tuple[str, str], ...]
    where: str = field(default="a chat", compare=False)


@dataclass(frozen=True)
class TemplatedText:
    """What a chat template wrote, special tokens included.

    Attributes:
        parts: What is given and what is learned, in turn; joined they are the whole text.
    """

    parts: tuple[str, ...]


def alpaca(row: Mapping[str, str | None]) -> Example:
    """Return instruction, input (which may be missing or empty) and output in Alpaca's template."""
    instruction, context = row["instruction"], row.get("input")
    head, section = (_ALPACA_INPUT, f"### Input:\n{context}\n\n") if context else (_ALPACA, "")
    return Example(
        f"{head}\n\n### Instruction:\n{instruction}\n\n{section}### Response:\n",
        str(row["output"]),
        user_turn=f"{instruction}\n\n{context}" if context else instruction,
    )
