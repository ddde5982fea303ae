"""The embedded testbed: a small base model, lm-eval tasks and a training mixture, as paths.

`benchmarks/make_testbed.py` makes the model and the documents; docs/testbed.md says what they measure.

Example:
    >>> sorted(path.name for path in (MODEL, TASKS, TRAIN))
    ['model', 'tasks', 'train.jsonl']
"""

from __future__ import annotations

from pathlib import Path

MODEL = Path(__file__).parent / "model"
"""Folder of the base model: a Llama of 142,000 parameters with a word-level tokenizer."""

TASKS = Path(__file__).parent / "tasks"
"""Folder of the lm-eval tasks, for `--include-path`."""

TASK_NAMES = ("facts", "tilt", "cipher")
"""The tasks in that folder."""

TRAIN = TASKS / "train.jsonl"
"""The training mixture of the three tasks: prompt and completion."""
