"""What a training is asked to do, as one dataclass."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from aurac.errors import TrainingError
from aurac.fields import check_fields
from aurac.registry import Registry
from aurac_adapters.data.styles import PROMPT_STYLES
from aurac_adapters.methods.method import NestedMethod

INITS = Registry(
    "initialisation",
    {"peft": "aurac_adapters.training.initial:by_peft", "authors": "aurac_adapters.training.initial:by_authors"},
)
"""Name -> function of a PEFT model that gives its factors their first values; B is zero after each."""

FIRST = ("start",)
"""Fields that stand in a record as a fingerprint: an adapter may lie elsewhere when the training goes on."""
FREE = ("out", "checkpoint_steps", "report_to", "progress")
"""Fields that do not change the adapter: a training may go on with others."""
ADDED_LATER = ("init", "adapter_dtype", "prompt_style", "warmup_ratio", "attn_implementation")
"""Fields that older records of trainings lack; there they had the value that is the default."""


def read_target_modules(text: str) -> str | tuple[str, ...]:
    """Read names such as "q_proj,v_proj"; "all-linear" and what only a regular expression can hold stay a text."""
    names = tuple(part.strip() for part in text.split(","))
    return names if text != "all-linear" and all(re.fullmatch(r"\w+(\.\w+)*", name) for name in names) else text


def _data() -> str:
    from aurac_adapters.data.dataset import DATA

    return f"JSONL file, one of {', '.join(DATA)}, or NAME=PATH of its copy"


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Everything that decides what a training makes.

    The optimizer is AdamW without weight decay; the learning rate rises over the warm-up and then falls linearly to 0;
    gradients are clipped to norm 1. The loss is the mean over the completion tokens of a step.

    Attributes:
        method: Which diagonal is trained, with its maximal rank and its train ranks.
        model: Base model: folder or hub name.
        data: A name in `DATA`, `NAME=PATH` for a copy of that set, or a JSONL file of rows as in docs/training.md.
        out: Adapter folder to write; checkpoints go into `out/checkpoints`.
        start: Adapter to begin with: its update is truncated to the rank by SVD and trained on as plain LoRA
            (LoRA-Squeeze). Its layers are taken too; the optimizer begins anew. None to begin with the base model.
        target_modules: Layers that get an adapter: "all-linear" (all but the output head), a regular expression, names.
        learning_rate: Peak of the learning rate. The default is a usual one for LoRA on large models, not tuned for
            any method.
        epochs: Passes over the data.
        max_steps: Optimizer steps, instead of epochs.
        batch_size: Examples for each device and forward pass.
        gradient_accumulation: Forward passes for each optimizer step.
        max_length: Tokens of an example, at most the model's context; the rest is cut, counted and reported.
        seed: Of the adapter's initial weights and the order of the data. A method that samples has its own.
        dtype: Of the base model in memory (default: bfloat16 on a GPU that has it, else float32).
        adapter_dtype: Of the adapter's weights, and so of AdamW's states: float32, or base for that of the base model.
            In bfloat16 a step that is smaller than 0.4 % of a weight is lost.
        init: How the adapter's A begins. A name in `INITS`.
        prompt_style: How rows become prompts. A name in `PROMPT_STYLES`.
        warmup_ratio: Share of the steps over which the learning rate rises.
        gradient_checkpointing: Compute activations twice instead of keeping them: less memory, more time.
        checkpoint_steps: Optimizer steps between checkpoints; the last two are kept.
        chat_template: Write the examples in the tokenizer's chat template; data of messages need it.
        compile: Compile the model with torch.compile; one graph serves all ranks.
        load_in: Quantise the base model with bitsandbytes while loading it. None keeps it in `dtype`.
        attn_implementation: How attention is computed, a name of transformers ("eager", "sdpa", "flash_attention_2").
            None leaves it to transformers. On a CPU in bfloat16 eager is faster for short examples (docs/training.md).
        packing: Put the examples of a forward pass into one row, without padding. The loss is the same.
        trust_remote_code: Run code that comes with the base model.
        report_to: Trackers that transformers knows ("tensorboard", "wandb").
        progress: Show a bar on standard error.
    """

    method: NestedMethod
    model: str = field(metadata={"metavar": "MODEL"})
    data: str = field(metadata={"metavar": "DATA", "help": _data})
    out: Path
    start: Path | None = field(default=None, metadata={"metavar": "ADAPTER", "flag": "--from"})
    target_modules: str | tuple[str, ...] = field(
        default="all-linear", metadata={"metavar": "a,b", "read": read_target_modules}
    )
    learning_rate: float = 2e-4
    epochs: float = field(default=3.0, metadata={"metavar": "N"})
    max_steps: int | None = field(default=None, metadata={"metavar": "N", "also": "--steps"})
    batch_size: int = 8
    gradient_accumulation: int = 4
    max_length: int = 1024
    seed: int = 42
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    adapter_dtype: Literal["float32", "base"] = "float32"
    init: str = field(default="peft", metadata={"choices": lambda: tuple(INITS)})
    prompt_style: str = field(default="standard", metadata={"choices": lambda: tuple(PROMPT_STYLES)})
    warmup_ratio: float = 0.05
    gradient_checkpointing: bool = False
    checkpoint_steps: int = 500
    chat_template: bool = False
    compile: bool = False
    load_in: Literal["4bit", "8bit"] | None = field(default=None, metadata={"switches": True})
    attn_implementation: str | None = field(default=None, metadata={"metavar": "NAME"})
    packing: bool = False
    trust_remote_code: bool = False
    report_to: tuple[str, ...] = ()
    progress: bool = field(default=True, metadata={"option": False})

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        check_fields(self)
        self.method.training_diagonal(0)  # raises for a method that is made from a trained adapter
        positive = ("learning_rate", "epochs", "batch_size", "gradient_accumulation", "max_length", "checkpoint_steps")
        if self.packing and self.method.draws_each_row:
            raise TrainingError(
                "packing puts all examples of a pass into one row, so they cannot have ranks of their own (per_row). "
                "Choose one of the two."
            )
        if not 0 <= self.warmup_ratio < 1:
            raise TrainingError(f"warmup_ratio is {self.warmup_ratio}; it is a share of the steps, from 0 to below 1.")
        if self.load_in and self.adapter_dtype == "base":
            raise TrainingError(
                f"the weights of a base in {self.load_in} have no type that an adapter could share. Leave "
                "adapter_dtype at float32."
            )
        if self.start is not None:
            self._check_start()
        if self.chat_template and self.prompt_style != "standard":
            raise TrainingError(
                f"a chat template writes the prompts itself, so prompt_style {self.prompt_style!r} has no effect. "
                "Choose one of the two."
            )
        for name in (*positive, *(["max_steps"] if self.max_steps is not None else [])):
            if not getattr(self, name) > 0:
                raise TrainingError(f"{name} is {getattr(self, name):g}; it must be greater than 0.")

    def _check_start(self) -> None:
        if self.method.name != "lora":
            raise TrainingError(
                f"a training that begins with an adapter trains plain LoRA, and method {self.method.name} was given. "
                "Give lora, or leave out what it is to begin with."
            )
        if self.init != "peft":
            raise TrainingError(
                f"init {self.init!r} says how A is drawn, but the training begins with an adapter. Leave out one of "
                "the two."
            )

    def identity(self) -> dict[str, Any]:
        """Return what makes two trainings the same, as JSON values."""
        unchanged = set(ADDED_LATER) - self.unusual().keys()
        kept = {name: value for name, value in vars(self).items() if name not in (*FREE, *FIRST, *unchanged)}
        return {**kept, "method": self.method.to_dict()}

    def unusual(self) -> dict[str, str | float]:
        """Return the fields of `ADDED_LATER` that are not at their defaults."""
        defaults = {field.name: field.default for field in fields(self)}
        return {name: getattr(self, name) for name in ADDED_LATER if getattr(self, name) != defaults[name]}
