"""Prompt styles: how the rows of a set become prompt and completion. A new style is an entry of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aurac.registry import Registry

PROMPT_STYLES = Registry(
    "prompt style",
    {"standard": "aurac_adapters.data.styles:STANDARD", "authors": "aurac_adapters.data.styles:AUTHORS"},
)

# Alpaca's template as alpaca-lora writes it, with a line break after "### Response:"; Platypus trains with its code.
_HEADER = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
)
_HEADER_WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
)


@dataclass(frozen=True)
class PromptStyle:
    """What one style does that another does not.

    Attributes:
        words: What it is, for help and reports.
        gives_blank: Whether the blank after "Answer:" belongs to the prompt; else it is learned.
        lists_choices: Whether a question with choices lists them behind letters.
        alpaca_header: Whether Alpaca's sentence stands before the instruction.
        apart: Whether prompt and completion are tokenised one by one, so that no token crosses the border.
    """

    words: str
    gives_blank: bool
    lists_choices: bool
    alpaca_header: bool
    apart: bool

    def answered(self, question: str, answer: str, choices: Sequence[tuple[str, str]] = ()) -> tuple[str, str]:
        """Return prompt and completion of a question, whose choices are pairs of letter and text."""
        listed = "".join(f"{letter}. {text}\n" for letter, text in choices) if self.lists_choices else ""
        given, learned = (" ", "") if self.gives_blank else ("", " ")
        return f"Question: {question}\n{listed}Answer:{given}", f"{learned}{answer}"

    def instruction(self, instruction: str, context: str | None) -> str:
        """Return the prompt of an instruction, with its input where there is one."""
        header = (_HEADER_WITH_INPUT if context else _HEADER) if self.alpaca_header else ""
        section = f"### Input:\n{context}\n\n" if context else ""
        return f"{header}### Instruction:\n{instruction}\n\n{section}### Response:\n"


STANDARD = PromptStyle(
    "lm-eval's format of a task, and Alpaca's template",
    gives_blank=False,
    lists_choices=False,
    alpaca_header=True,
    apart=False,
)
AUTHORS = PromptStyle(
    "as the MatryoshkaLoRA authors train (their public code at 66dd464)",
    gives_blank=True,
    lists_choices=True,
    alpaca_header=False,
    apart=True,
)
