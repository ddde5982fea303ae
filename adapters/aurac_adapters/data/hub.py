"""Published training sets, from the hub or from a copy, in the prompt style that is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aurac.errors import DataError
from aurac_adapters.data.examples import Example, alpaca, answered
from aurac_adapters.data.styles import STANDARD, PromptStyle


def gsm8k(copy: str | None = None, style: PromptStyle = STANDARD) -> list[Example]:
    """Return GSM8K's training split (openai/gsm8k, main); the answer keeps its calculator marks."""
    rows = _train_split("openai/gsm8k", "main", copy, keys=("question", "answer"))
    return [answered(row["question"], row["answer"], style) for row in rows]


def arc(copy: str | None = None, style: PromptStyle = STANDARD) -> list[Example]:
    """Return ARC-Challenge's training split (allenai/ai2_arc); the answer is the choice's text, without its letter."""
    examples = []
    for row in _train_split("allenai/ai2_arc", "ARC-Challenge", copy, keys=("question", "choices", "answerKey")):
        choices = list(zip(row["choices"]["label"], row["choices"]["text"], strict=True))
        examples.append(answered(row["question"], dict(choices)[row["answerKey"]], style, choices))
    return examples


def platypus(copy: str | None = None, style: PromptStyle = STANDARD) -> list[Example]:
    """Return Open-Platypus (garage-bAInd/Open-Platypus) in the Alpaca template."""
    rows = _train_split("garage-bAInd/Open-Platypus", None, copy, keys=("instruction", "input", "output"))
    return [alpaca(row, style) for row in rows]


def _train_split(hub: str, name: str | None, copy: str | None, *, keys: tuple[str, ...]) -> Iterable[dict[str, Any]]:
    """Return the rows of the hub's set, or of a copy in the same columns.

    Args:
        hub: Name of the set on the hub.
        name: Of the configuration.
        copy: A JSONL or parquet file, a folder as on the hub, or one that `save_to_disk` wrote.
        keys: Columns that the rows must have.
    """
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    if copy is not None and not Path(copy).exists():
        raise DataError(f"no such copy of {hub}: {copy}. Give a JSONL or parquet file, or a folder.")
    try:
        rows = load_dataset(hub, name, split="train") if copy is None else _read_copy(Path(copy), name)
    except (OSError, ValueError, KeyError, DatasetsError) as error:  # no network, damaged, no such configuration
        reason = " ".join(str(error).split())
        raise DataError(
            f"cannot load the data set {copy or hub}: {reason:.200}. "
            + ("Check the network, or use a JSONL file of prompt and completion." if copy is None else "Copy it again.")
        ) from error
    if missing := [key for key in keys if key not in rows.column_names]:
        raise DataError(
            f"{copy or hub} lacks the column {' and '.join(missing)}; it has {', '.join(rows.column_names)}. "
            f"A copy of {hub} has {', '.join(keys)}."
        )
    return rows  # type: ignore[no-any-return]


def _read_copy(path: Path, name: str | None) -> Any:
    from datasets import load_dataset, load_from_disk

    if (path / "dataset_dict.json").exists():
        return load_from_disk(str(path))["train"]
    if (path / "state.json").exists():
        return load_from_disk(str(path))
    if path.is_dir():
        return load_dataset(str(path), name, split="train")
    return load_dataset("parquet" if path.suffix == ".parquet" else "json", data_files=str(path), split="train")
