"""`.eval_results/aurac.yaml`: what the hub shows of tasks whose documents it has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from huggingface_hub import parse_eval_result_entries

from aurac.report.pages.eval_results import write_eval_results
from aurac.results import Run
from runs_by_hand import curve


def made(make_run: Callable[..., Run], *datasets: tuple[str | None, str | None]) -> Run:
    run = make_run("a", *(curve(f"task{i}", i) for i in range(len(datasets))))
    tasks = {f"task{i}": {"dataset": list(dataset)} for i, dataset in enumerate(datasets)}
    asked = {name: {"task": name} for name in tasks}
    return Run("a", None, {**run.record, "asked": asked, "tasks": tasks, "updated": "2026-11-25T12:00:00"}, run.curves)


def test_the_hub_reads_the_score_at_full_rank_of_its_own_data_sets(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    import yaml

    run = made(make_run, ("allenai/ai2_arc", "ARC-Challenge"), (None, None), ("json", None))
    file = write_eval_results(run, tmp_path)
    assert file == tmp_path / ".eval_results/aurac.yaml"
    (entry,) = parse_eval_result_entries(yaml.safe_load(file.read_text()))
    assert (entry.dataset_id, entry.task_id) == ("allenai/ai2_arc", "ARC-Challenge")
    assert entry.value == run.curve("task0").accuracies[-1]
    assert entry.notes == "acc, 5-shot, lm-eval, adapter at its full rank 8"


def test_nothing_is_written_for_tasks_of_ones_own(make_run: Callable[..., Run], tmp_path: Path) -> None:
    assert write_eval_results(made(make_run, (None, None)), tmp_path) is None
    assert list(tmp_path.iterdir()) == []
