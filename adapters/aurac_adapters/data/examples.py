"""What a training example is before it becomes token ids: a prompt with its completion, or a chat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aurac_adapters.data.styles import STANDARD, PromptStyle


@dataclass(frozen=True)
class Example:
    """A prompt, and the completion that is to follow it without anything in between.

    Attributes:
        prompt: What is given.
        completion: What is learned.
        user_turn: The prompt without the frame that a format puts around it, for a chat template, which puts its own;
            None where there is no such frame.
        apart: Whether prompt and completion are tokenised one by one.
    """

    prompt: str
    completion: str
    user_turn: str | None = field(default=None, compare=False)
    apart: bool = False

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


def alpaca(row: Mapping[str, str | None], style: PromptStyle = STANDARD) -> Example:
    """Return instruction, input (which may be missing or empty) and output in Alpaca's template."""
    instruction, context = str(row["instruction"]), row.get("input")
    return Example(
        style.instruction(instruction, context),
        str(row["output"]),
        user_turn=f"{instruction}\n\n{context}" if context else instruction,
        apart=style.apart,
    )


def answered(question: str, answer: str, style: PromptStyle, choices: Sequence[tuple[str, str]] = ()) -> Example:
    """Return a question with its answer; `choices` are pairs of letter and text."""
    prompt, completion = style.answered(question, answer, choices)
    return Example(prompt, completion, user_turn=question, apart=style.apart)
