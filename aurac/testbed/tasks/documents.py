"""Where the tasks of this folder find their documents: in the file beside them, wherever the package is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict


def load(*, file: str, **_metadata: Any) -> DatasetDict:
    """Return the documents of `file` as the split "test"; lm-eval also passes the task's metadata.

    Args:
        file: Name of a JSONL file in this folder.

    Returns:
        One split, "test", one row for each line.
    """
    lines = (Path(__file__).parent / file).read_text(encoding="utf-8").splitlines()
    return DatasetDict({"test": Dataset.from_list([json.loads(line) for line in lines])})
