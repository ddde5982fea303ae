"""Scores as the hub shows them on a model's page and a data set's leaderboard: `.eval_results/*.yaml`.

https://huggingface.co/docs/hub/eval-results; written beside the `model-index` of the card's front matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aurac.report.numbers import rounded
from aurac.results import Run
from aurac.writing import write_text

FILE = Path(".eval_results") / "aurac.yaml"
"""Where the hub looks, below the adapter's folder."""


def hub_dataset(run: Run, task: str) -> tuple[str, str] | None:
    """Return the data set of a task on the hub and its configuration; None for a group, or files of one's own."""
    leaf = run.record.get("asked", {}).get(task, {}).get("task", task)
    path, config = run.record.get("tasks", {}).get(leaf, {}).get("dataset") or (None, None)
    if path is None or "/" not in path or Path(path).exists():
        return None
    return str(path), str(config or leaf)


def write_eval_results(run: Run, folder: Path) -> Path | None:
    """Write the scores at full rank of all tasks whose documents are on the hub; None where there is no such task."""
    from huggingface_hub import eval_result_entries_to_yaml
    from huggingface_hub.utils import yaml_dump  # type: ignore[attr-defined]

    entries = list(_entries(run))
    if not entries:
        return None
    text: str = yaml_dump(eval_result_entries_to_yaml(entries), sort_keys=False)
    file = folder / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, text)
    return file


def _entries(run: Run) -> Iterator[Any]:
    from huggingface_hub import EvalResultEntry

    for task, curve in run.curves.items():
        if (dataset := hub_dataset(run, task)) is not None:
            shots = "" if curve.num_fewshot is None else f", {curve.num_fewshot}-shot"
            asked = "" if curve.part is None else f", estimated from {curve.part}"
            yield EvalResultEntry(
                dataset_id=dataset[0],
                task_id=dataset[1],
                value=rounded(curve.accuracy_at(curve.max_rank)),
                date=str(run.record["updated"]),
                notes=f"{curve.metric or 'accuracy'}{shots}, lm-eval, adapter at its full rank {curve.max_rank}{asked}",
            )
