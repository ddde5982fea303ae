"""Folders that lm-eval wrote, one a rank, and changes to their files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from lm_eval.loggers import EvaluationTracker
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from aurac.harness.gold import NLL, PER_BYTE
from aurac.harness.model import hflm_engine
from aurac.harness.protocols import parse_tasks
from aurac.harness.scoring import score_adapter
from aurac.harness.suite import build_suite
from aurac.results import Run

RANKS = (2, 8)
KINDS = ("pooled", "binary", "spell", "prose", "ending", "hits")
OURS = (NLL, PER_BYTE)
ADAPTER = {"method": "lora"}


def run_lm_eval(model: Any, tokenizer: Any, task_folder: Path, tasks: list[str], out: Path) -> None:
    """Do what `lm_eval --log_samples --output_path` does."""
    tracker = EvaluationTracker(output_path=str(out))
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4, softmax_dtype="float32")
    manager = TaskManager(include_path=str(task_folder), include_defaults=False)
    results = lm_eval.simple_evaluate(
        lm, tasks=tasks, task_manager=manager, bootstrap_iters=0, evaluation_tracker=tracker, log_samples=True
    )
    assert results is not None
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for task in results["configs"]:
        tracker.save_results_samples(task_name=task, samples=samples[task])


def sweep_both(adapter: Any, tokenizer: Any, task_folder: Path, *, out: Path, own: Path) -> Run:
    """Write lm-eval's output at every rank to `out`, and return our own record of the same."""
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda _: None)  # calls pip and git, for seconds
    for rank in RANKS:
        adapter.set_rank(rank)
        run_lm_eval(adapter.model, tokenizer, task_folder, list(KINDS), out / f"rank-{rank}")
    monkeypatch.undo()
    suite = build_suite(parse_tasks(KINDS), include_path=task_folder, progress=False)
    run = score_adapter(
        lambda: (hflm_engine(adapter.model, tokenizer, batch_size=4), adapter),
        suite,
        out=own,
        identity={"adapter": {"method": "lora", "max_rank": 8}},
        ranks=RANKS,
        progress=False,
    )
    assert run is not None
    return run


def folders(parent: Path) -> dict[int, Path]:
    return {rank: parent / f"rank-{rank}" for rank in RANKS}


def the_file(folder: Path, pattern: str) -> Path:
    (found,) = folder.rglob(pattern)
    return found


def edit_results(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = the_file(folder, "results_*.json")
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
