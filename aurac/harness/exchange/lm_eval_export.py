"""A run as lm-eval would have left it on disk: a folder a rank, with `results_*.json` and `samples_*.jsonl`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from os import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from aurac.errors import RecordError
from aurac.harness.exchange.lm_eval_names import samples_name
from aurac.harness.per_document import AGGREGATIONS, group_value
from aurac.results import Run
from aurac.results.cells import PART, StoredCell
from aurac.results.curves import BASE_RANK
from aurac.results.long_table import long_table
from aurac.statistics.intervals import estimate_mean

Cells = Mapping[str, StoredCell]
"""Task -> its cell at one rank."""


def write_lm_eval(run: Run, out: Path) -> None:
    """Write one folder a rank into `out`; `aurac import` reads them back as the same record.

    The samples have scores and hashes, not the texts of documents, prompts and answers, which a record does not keep.

    Args:
        run: The run.
        out: A folder that does not exist yet, or is empty.

    Raises:
        RecordError: If `out` holds something, or the run has no documents.
    """
    long_table(run)  # which says so where there is nothing
    if parts := sorted({cell["task"] for cell in run.record.get("cells", ()) if cell.get("status") == PART}):
        raise RecordError(
            f"run {run.name!r} asked a part of the documents of {', '.join(parts)}, and lm-eval's files would pass for "
            "all of them. Score all documents, or export the long table."
        )
    if "fewshot_seeds" in run.record.get("identity", {}):
        raise RecordError(
            f"run {run.name!r} was scored under several draws of few-shot examples, and lm-eval's files hold one. "
            "Export the long table (--format parquet or csv)."
        )
    if out.is_file():
        raise RecordError(f"{out} is a file. Give a folder that does not exist yet with --out.")
    if out.exists() and any(out.iterdir()):
        raise RecordError(f"{out} is not empty. Give a folder that does not exist yet with --out.")
    assert run._content is not None
    date = str(run.record.get("updated", "unknown")).replace(":", "-")
    by_rank: dict[int, dict[str, StoredCell]] = {}
    for (task, rank), cell in run._content.cells.items():
        if cell.entry.get("status") == "done" and rank != BASE_RANK:
            by_rank.setdefault(rank, {})[task] = cell
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        for rank, cells in sorted(by_rank.items()):
            _write_rank(run, cells, unfinished / f"rank-{rank}", date)
        unfinished.chmod(0o755)
        replace(unfinished, out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write_rank(run: Run, cells: Cells, folder: Path, date: str) -> None:
    names = {task: samples_name(task, date, advice="Export it with --format parquet or csv.") for task in cells}
    folder.mkdir()
    text = json.dumps(_results(run, cells), indent=2, ensure_ascii=False) + "\n"
    (folder / f"results_{date}.json").write_text(text, encoding="utf-8")
    for task, cell in cells.items():
        with (folder / names[task]).open("w", encoding="utf-8") as stream:
            for sample in _samples(cell.rows.to_pylist(), run.record["tasks"][task].get("metrics", {})):
                stream.write(json.dumps(sample, ensure_ascii=False) + "\n")


def _results(run: Run, cells: Cells) -> dict[str, Any]:
    identity, tasks = run.record["identity"], {task: run.record["tasks"][task] for task in cells}
    groups = {name: group for name, group in run.record["groups"].items() if set(group["members"]) <= set(cells)}
    return {
        "results": {task: _task_results(task, cell, tasks[task]) for task, cell in cells.items()},
        "groups": {name: _group_results(name, group, cells, tasks) for name, group in groups.items()},
        "group_subtasks": {name: list(group["members"]) for name, group in groups.items()},
        "configs": {task: _config(task, settings) for task, settings in tasks.items()},
        "versions": {task: settings.get("version") for task, settings in tasks.items()}
        | {name: group.get("version") for name, group in groups.items()},
        "n-shot": {task: settings.get("num_fewshot") for task, settings in tasks.items()},
        "higher_is_better": {task: _directions(settings) for task, settings in tasks.items()},
        "n-samples": {task: {"effective": settings["n_documents"]} for task, settings in tasks.items()},
        "config": {
            "model": str(identity.get("engine")),
            "model_args": {"pretrained": identity.get("base", {}).get("name_or_path")},
            "model_dtype": identity.get("dtype"),
            "limit": identity.get("limit"),
            "fewshot_seed": identity.get("fewshot_seed"),
        },
        "lm_eval_version": run.record.get("versions", {}).get("lm_eval"),
        "transformers_version": run.record.get("versions", {}).get("transformers"),
        "exported_by": f"aurac {run.record.get('versions', {}).get('aurac')}",
    }


def _task_results(task: str, cell: StoredCell, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that lm-eval reports, with the standard error of means over documents."""
    results: dict[str, Any] = {"alias": task, "sample_len": settings["n_documents"]}
    rows = cell.rows.to_pylist()
    for key, value in cell.entry["metrics"].items():
        metric, _, filter_name = key.rpartition(",")
        mine = [row for row in rows if (row["metric"], row["filter"]) == (metric, filter_name)]
        results[key] = value
        results[f"{metric}_stderr,{filter_name}"] = _stderr([row["score"] for row in mine], metric, settings)
    return results


def _stderr(scores: Sequence[float | None], metric: str, settings: Mapping[str, Any]) -> float | str:
    known = [score for score in scores if score is not None]
    aggregation = settings.get("metrics", {}).get(metric, {}).get("aggregation", "mean")
    if aggregation not in ("mean", "nanmean") or len(known) < max(2, len(scores)):
        return "N/A"
    return float(estimate_mean(known).stderr)


def _group_results(name: str, group: Mapping[str, Any], cells: Cells, tasks: Mapping[str, Any]) -> dict[str, Any]:
    members = group["members"]
    sizes = [int(tasks[member]["n_documents"]) for member in members]
    results: dict[str, Any] = {"alias": name}
    for key in dict.fromkeys(key for member in members for key in cells[member].entry["metrics"]):
        how = group["metrics"].get(key.rpartition(",")[0])
        values = [cells[member].entry["metrics"].get(key) for member in members]
        if how is not None and all(value is not None for value in values):
            results[key] = group_value(values, sizes, pooled=bool(how.get("weight_by_size", True)))
    return results


def _config(task: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    path, name = settings.get("dataset") or (None, None)
    return {
        "task": task,
        "dataset_path": path,
        "dataset_name": name,
        "output_type": settings.get("output_type"),
        "num_fewshot": settings.get("num_fewshot"),
        "metric_list": [{"metric": metric, **about} for metric, about in settings.get("metrics", {}).items()],
        "metadata": {"version": settings.get("version")},
    }


def _directions(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {metric: about.get("higher_is_better") for metric, about in settings.get("metrics", {}).items()}


def _samples(rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one sample for each filter and document, with the values as lm-eval logs them."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows:
        names = {key: row[key] for key in ("doc_id", "doc_hash", "prompt_hash", "filter")}
        sample = found.setdefault((row["filter"], row["doc_id"]), {**names, "metrics": []})
        sample["metrics"].append(row["metric"])
        sample[row["metric"]] = _logged(row, metrics.get(row["metric"], {}).get("aggregation", "mean"))
    return list(found.values())


def _logged(row: Mapping[str, Any], aggregation: str) -> Any:
    known = AGGREGATIONS.get(aggregation)
    return None if known is None or row["score"] is None else known.logged(row["score"], row["weight"])
