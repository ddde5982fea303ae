"""Published sets: their formats, from the hub and from copies."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest

from aurac.errors import DataError, UnknownNameError
from aurac_adapters.data.dataset import DATA, Example, load_examples

ROWS: dict[str, list[dict[str, Any]]] = {
    "openai/gsm8k": [{"question": "2 + 3?", "answer": "It is <<2+3=5>>5.\n#### 5"}],
    "allenai/ai2_arc": [
        {"question": "Which?", "choices": {"text": ["this", "that"], "label": ["A", "B"]}, "answerKey": "B"},
        {"question": "Who?", "choices": {"text": ["she", "he"], "label": ["1", "2"]}, "answerKey": "1"},
    ],
    "garage-bAInd/Open-Platypus": [
        {"instruction": "Add.", "input": "2 3", "output": "5"},
        {"instruction": "Add.", "input": "", "output": "?"},
    ],
}
PUBLISHED = {
    "gsm8k": [Example("Question: 2 + 3?\nAnswer:", " It is <<2+3=5>>5.\n#### 5")],
    "arc": [Example("Question: Which?\nAnswer:", " that"), Example("Question: Who?\nAnswer:", " she")],
    "platypus": [
        Example(
            "Below is an instruction that describes a task, paired with an input that provides further context. "
            "Write a response that appropriately completes the request.\n\n"
            "### Instruction:\nAdd.\n\n### Input:\n2 3\n\n### Response:\n",
            "5",
        ),
        Example(
            "Below is an instruction that describes a task. "
            "Write a response that appropriately completes the request.\n\n"
            "### Instruction:\nAdd.\n\n### Response:\n",
            "?",
        ),
    ],
}


@pytest.mark.parametrize("name", DATA)
def test_a_named_set_has_its_published_format(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", lambda path, _name, split: datasets.Dataset.from_list(ROWS[path]))  # noqa: ARG005
    assert load_examples(name) == PUBLISHED[name]


@pytest.mark.parametrize("name", DATA)
def test_a_set_that_cannot_be_reached_is_one_clear_error(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    message = r"cannot load the data set .*/.*: Couldn't reach .*Check the network, or use a JSONL file of prompt and"
    with pytest.raises(DataError, match=message):
        load_examples(name)


HUB_NAMES = {"gsm8k": "openai/gsm8k", "arc": "allenai/ai2_arc", "platypus": "garage-bAInd/Open-Platypus"}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("kind", ["rows.jsonl", "rows.jsonl.gz", "rows.parquet", "saved", "saved-splits"])
def test_a_copy_of_a_named_set_is_read_in_its_format(name: str, kind: str, tmp_path: Path) -> None:
    rows, path = datasets.Dataset.from_list(ROWS[HUB_NAMES[name]]), tmp_path / kind
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    if kind == "rows.jsonl":
        path.write_text(lines)
    elif kind == "rows.jsonl.gz":
        path.write_bytes(gzip.compress(lines.encode()))
    elif kind == "rows.parquet":
        rows.to_parquet(path)
    elif kind == "saved":
        rows.save_to_disk(path)
    else:
        datasets.DatasetDict(train=rows).save_to_disk(path)
    assert load_examples(f"{name}={path}") == PUBLISHED[name]


@pytest.mark.usefixtures("cache")
def test_a_copy_of_the_hubs_folder_is_read(shared: Path, tmp_path: Path) -> None:
    layout = [sys.executable, shared / "data" / "make_offline_hub.py", tmp_path, "--only", "allenai/ai2_arc"]
    subprocess.run(layout, check=True, capture_output=True)
    assert len(load_examples(f"arc={tmp_path / 'allenai' / 'ai2_arc'}")) == 1119  # shared/data/README.md


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"no such copy of openai/gsm8k: .*rows\.jsonl\. Give a JSONL or parquet file, or a folder"),
        (
            '{"question": "2 + 3?"}',
            r"rows\.jsonl lacks the column answer; it has question\. A copy of openai/gsm8k has q",
        ),
        ('{"question": ', r"cannot load the data set .*rows\.jsonl: .*Copy it again"),
    ],
)
def test_a_copy_that_cannot_be_used_is_one_clear_error(content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=message):
        load_examples(f"gsm8k={path}")


def test_a_copy_of_an_unknown_set_is_answered_with_the_near_names() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown data set 'gsm9k'\. Did you mean 'gsm8k'"):
        load_examples("gsm9k=rows")
