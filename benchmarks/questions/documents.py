"""Where the tasks of this folder find their documents: lm-eval looks for this function beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import DatasetDict, load_dataset


def load(*, file: str, **_metadata: Any) -> DatasetDict:
    """Return the documents of a JSONL file in this folder as the split "test"."""
    return DatasetDict({"test": load_dataset("json", data_files=str(Path(__file__).parent / file), split="train")})
