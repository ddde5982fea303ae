"""Prompts as a chat: lm-eval's chat template, system instruction and multi-turn examples."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from lm_eval.models.huggingface import HFLM
from transformers import PreTrainedTokenizerBase

from aurac.errors import TaskError
from aurac.harness.quiet import building


class _Templates:
    """What of lm-eval's model class makes prompts, without its model."""

    apply_chat_template = HFLM.apply_chat_template
    chat_template = HFLM.chat_template

    def __init__(self, tokenizer: PreTrainedTokenizerBase, template: str | None = None) -> None:
        self.tokenizer = tokenizer
        # lm-eval 0.4.13 records the template that was named, and renders the default one: it is passed on here.
        self.chat_template_args: dict[str, Any] = {} if template is None else {"chat_template": template}


@dataclass(frozen=True)
class Chat:
    """How prompts are wrapped, in lm-eval's words.

    Attributes:
        apply_chat_template: Whether the tokenizer's template is applied; the name of one where it has several.
        system_instruction: Text that comes first, with or without a template.
        fewshot_as_multiturn: Whether examples are turns of the conversation; only with a template.
        tokenizer: The tokenizer, needed for a template.
    """

    apply_chat_template: bool | str = False
    system_instruction: str | None = None
    fewshot_as_multiturn: bool = True
    tokenizer: PreTrainedTokenizerBase | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check that the tokenizer has the template."""
        if self.apply_chat_template:
            self.template()

    def template(self) -> str:
        """Return the template that is applied.

        Raises:
            TaskError: If the tokenizer has none, or none of this name.
        """
        name = getattr(self.tokenizer, "name_or_path", "")
        if self.tokenizer is None or not self.tokenizer.chat_template:
            raise TaskError(
                f"the tokenizer of {name!r} has no chat template. Leave --apply-chat-template out, or take the "
                "instruct model's tokenizer."
            )
        if isinstance(self.apply_chat_template, str) and not isinstance(self.tokenizer.chat_template, dict):
            raise TaskError(
                f"the tokenizer of {name!r} has one chat template, without a name, and {self.apply_chat_template!r} "
                "was asked for. Give --apply-chat-template without a name."
            )
        try:
            with building():
                return str(HFLM.chat_template(_Templates(self.tokenizer), self.apply_chat_template))
        except ValueError as exc:
            raise TaskError(f"the chat template cannot be chosen: {exc}") from exc

    def options(self) -> dict[str, Any]:
        """Return the arguments of lm-eval's `Task.build_all_requests`."""
        if not self.apply_chat_template:
            return {"system_instruction": self.system_instruction}
        assert self.tokenizer is not None
        return {
            "system_instruction": self.system_instruction,
            "apply_chat_template": True,
            "fewshot_as_multiturn": self.fewshot_as_multiturn,
            "chat_template": _Templates(self.tokenizer, self.template()).apply_chat_template,
            "tokenizer_name": str(getattr(self.tokenizer, "name_or_path", "")),
        }

    def identity(self) -> dict[str, Any]:
        """Return what of it changes prompts, for `run.json`; empty without template and instruction."""
        if not self.apply_chat_template:
            return {} if self.system_instruction is None else {"system_instruction": self.system_instruction}
        return {
            "chat_template_sha256": hashlib.sha256(self.template().encode()).hexdigest(),
            "system_instruction": self.system_instruction,
            "fewshot_as_multiturn": self.fewshot_as_multiturn,
        }


PLAIN = Chat()
"""Prompts as the task writes them."""
