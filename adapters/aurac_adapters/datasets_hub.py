"""Published training sets from the hub, with the prompt formats that they are published or scored with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aurac.errors import DataError
from aurac_adapters.data import Example

# Alpaca's template as alpaca-lora writes it, with a line break after "### Response:"; Platypus trains with its code.
ALPACA = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
ALPACA_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request."
)


def gsm8k() -> list[Example]:
    """Return GSM8K's training split (openai/gsm8k, main) in lm-eval's format; the answer keeps its calculator marks."""
    return [
        Example(f"Question: {row['question']}\nAnswer:", f" {row['answer']}")
        for row in _train_split("openai/gsm8k", "main")
    ]


def arc() -> list[Example]:
    """Return ARC-Challenge's training split (allenai/ai2_arc) in lm-eval's format: the answer's text, no letter."""
    return [
        Example(
            f"Question: {row['question']}\nAnswer:",
            f" {row['choices']['text'][row['choices']['label'].index(row['answerKey'])]}",
        )
        for row in _train_split("allenai/ai2_arc", "ARC-Challenge")
    ]


def platypus() -> list[Example]:
    """Return Open-Platypus (garage-bAInd/Open-Platypus) in the Alpaca template."""
    return [_alpaca(row) for row in _train_split("garage-bAInd/Open-Platypus", None)]


def _alpaca(row: dict[str, Any]) -> Example:
    head, context = (ALPACA_INPUT, f"### Input:\n{row['input']}\n\n") if row.get("input") else (ALPACA, "")
    return Example(f"{head}\n\n### Instruction:\n{row['instruction']}\n\n{context}### Response:\n", row["output"])


def _train_split(path: str, name: str | None) -> Iterable[dict[str, Any]]:
    from datasets import load_dataset

    try:
        rows: Iterable[dict[str, Any]] = load_dataset(path, name, split="train")
    except (OSError, ValueError) as error:  # no network, no such cache, no such configuration in the cache
        reason = " ".join(str(error).split())
        raise DataError(
            f"cannot load the data set {path}: {reason:.200}. "
            "Check the network, or use a JSONL file of prompt and completion."
        ) from error
    return rows
