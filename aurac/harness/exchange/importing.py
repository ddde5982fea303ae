"""`import_lm_eval`: what lm_eval measured at each rank becomes a run record, joined with others on the same hashes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import index
from pathlib import Path
from typing import Any

from aurac.errors import RecordError, UnknownNameError
from aurac.harness.exchange.imported_cell import Samples, make_cell, reported, shots, task_settings
from aurac.harness.exchange.imported_identity import identity_of, origin_of
from aurac.harness.exchange.lm_eval_output import ResultsFile, read_folder
from aurac.harness.per_document import group_value
from aurac.harness.protocols import TaskRequest
from aurac.results import Cell, Run, RunRecord, load
from aurac.results.files import RUN_JSON

Outputs = Mapping[int, Mapping[str, ResultsFile]]
"""Rank -> task or group -> the file that has it."""


def import_lm_eval(
    folders: Mapping[int, Path],
    *,
    out: Path,
    adapter: Mapping[str, Any],
    base: str | None = None,
    requests: Sequence[TaskRequest] | None = None,
    cluster: str | None = None,
) -> Run:
    """Write a run record from lm-eval's output, and return it.

    Args:
        folders: Rank -> folder that `lm_eval --log_samples --output_path` wrote at this rank.
        out: Folder of the record; made.
        adapter: What is known of the adapter: method, and sha256, max_rank ... where its folder is at hand.
        base: The base model, where lm_eval was given merged weights; by default what its results say.
        requests: Which tasks and headline metrics; by default every group, and every task of none.
        cluster: Field of the documents that some share, such as passage; "none" for no passages.

    Raises:
        RecordError: If a file is missing, damaged, or contradicts another; if ranks differ in prompts or settings.
        UnknownNameError: If lm_eval did not run a task, metric or filter that is asked for.
    """
    if (out / RUN_JSON).exists():
        raise RecordError(f"{out} holds a run record already. Give another folder with --out, or delete this one.")
    outputs = {rank: read_folder(rank, folder) for rank, folder in sorted(_checked(folders).items())}
    files = [file for by_name in outputs.values() for file in dict.fromkeys(by_name.values())]
    identity = identity_of(files, adapter, base)
    chosen = _default_requests(outputs) if requests is None else list(requests)
    leaves = {request.name: _members(outputs, request.task) for request in chosen}
    for request in chosen:
        _check_shots(outputs, request, leaves[request.name])
    tasks: dict[str, dict[str, Any]] = {}
    cells: list[Cell] = []
    for task in dict.fromkeys(leaf for names in leaves.values() for leaf in names):
        tasks[task], found = _measured(outputs, task, cluster)
        cells += found
    _check_metrics(chosen, tasks, cells)
    with RunRecord(out, identity) as record:
        record.extend(
            asked={r.name: {"task": r.task, "metric": r.metric, "filter": r.filter} for r in chosen},
            tasks=tasks,
            groups={
                r.task: _group(outputs, r.task, leaves[r.name], tasks) for r in chosen if _is_group(outputs, r.task)
            },
            ranks=sorted(outputs),
        )
        record.note(**origin_of(files))
        for cell in cells:
            record.add(cell)
    return load(out)


def _checked(folders: Mapping[int, Path]) -> dict[int, Path]:
    for rank in folders:
        if isinstance(rank, bool) or not hasattr(rank, "__index__") or rank < 1:
            raise RecordError(f"rank {rank!r} is no whole number from 1. Name each folder by the rank of its adapter.")
    return {index(rank): Path(folder) for rank, folder in folders.items()}


def _default_requests(outputs: Outputs) -> list[TaskRequest]:
    first = next(iter(outputs.values()))
    files = list(dict.fromkeys(first.values()))
    groups = [name for file in files for name in file.groups]
    inside = {name for file in files for group in file.groups for name in file.below(group)}
    names = [*groups, *(task for file in files for task in file.tasks)]
    return [TaskRequest(name, name) for name in names if name not in inside]


def _is_group(outputs: Outputs, name: str) -> bool:
    return name in next(iter(outputs.values()))[name].groups


def _members(outputs: Outputs, name: str) -> list[str]:
    """Return the leaf tasks of a task or group, after checking that every rank has it and them."""
    known = {task for by_name in outputs.values() for task in by_name}
    if name not in known:
        raise UnknownNameError("task in the output of lm_eval", name, known)
    _check_everywhere(outputs, name)
    file = next(iter(outputs.values()))[name]
    leaves = file.members(name) if name in file.groups else [name]
    for leaf in leaves:
        _check_everywhere(outputs, leaf)
    return leaves


def _check_everywhere(outputs: Outputs, name: str) -> None:
    for rank, by_name in outputs.items():
        if name not in by_name:
            raise RecordError(f"lm_eval did not run {name} at rank {rank}. Run it, or leave out the task or the rank.")


def _check_shots(outputs: Outputs, request: TaskRequest, leaves: Sequence[str]) -> None:
    for rank, by_name in outputs.items():
        for leaf in leaves:
            found = shots(by_name[request.task], leaf)
            if request.num_fewshot is not None and found != request.num_fewshot:
                raise RecordError(
                    f"lm_eval ran {leaf} with {found} shots at rank {rank}, and {request.num_fewshot} are asked for. "
                    f"Ask for {request.name}@{found}, or run it again with --num_fewshot {request.num_fewshot}."
                )


def _measured(outputs: Outputs, task: str, cluster: str | None) -> tuple[dict[str, Any], list[Cell]]:
    """Return the task's settings and its cells, after checking that every rank had the same prompts."""
    settings: dict[str, Any] = {}
    cells: list[Cell] = []
    first: tuple[ResultsFile, Samples] | None = None
    for by_name in outputs.values():
        file = by_name[task]
        _check_scored(file, task)
        samples = file.samples(task, with_requests=first is None)
        if first is None:
            first, settings = (file, samples), task_settings(file, task, samples, cluster)
        else:
            _check_same(task, *first, file, samples)
        cells.append(make_cell(file, task, samples))
    return settings, cells


def _check_scored(file: ResultsFile, task: str) -> None:
    """Raise for a task that was generated or ranked and not scored: `--predict_only` reports no metric, or "bypass"."""
    if not {key.partition(",")[0] for key in reported(file.content["results"][task])} - {"bypass"}:
        raise RecordError(
            f"rank {file.rank}: {file.path} has predictions of {task} and no scores, as lm_eval --predict_only writes "
            "them. Run it again without --predict_only, or leave the task out with --tasks."
        )


def _check_same(task: str, first: ResultsFile, before: Samples, file: ResultsFile, samples: Samples) -> None:
    """Raise unless two ranks had the same documents and prompts, under the same settings."""
    a, b = ([(s["filter"], s["doc_id"], s["doc_hash"], s["prompt_hash"]) for s in found] for found in (before, samples))
    if a != b:
        number = next((x[1] for x, y in zip(a, b, strict=False) if x != y), min(len(a), len(b)))
        raise RecordError(
            f"{task} has other documents or prompts at rank {file.rank} than at rank {first.rank}, the first at "
            f"document {number} ({file.path.parent}). Run lm_eval at every rank with the same seeds, shots, limit and "
            "template."
        )
    for key in ("versions", "n-shot"):
        if first.content[key].get(task) != file.content[key].get(task):
            raise RecordError(
                f"{task}: {key} is {first.content[key].get(task)} at rank {first.rank} and "
                f"{file.content[key].get(task)} at rank {file.rank}. Run lm_eval at every rank with the same settings."
            )


def _check_metrics(requests: Sequence[TaskRequest], tasks: Mapping[str, Any], cells: Sequence[Cell]) -> None:
    """Raise `UnknownNameError` for a metric or filter that a task lacks; a group's are those of its tasks."""
    for request in requests:
        if request.metric is None or request.task not in tasks:
            continue
        keys = [key.rpartition(",") for cell in cells if cell.task == request.task for key in cell.metrics]
        metrics = {metric for metric, _, _ in keys}
        if request.metric not in metrics:
            raise UnknownNameError("metric", request.metric, metrics, of=f"of task {request.task!r}")
        filters = {filter_name for metric, _, filter_name in keys if metric == request.metric}
        if request.filter is not None and request.filter not in filters:
            raise UnknownNameError("filter", request.filter, filters, of=f"of task {request.task!r}")


def _group(outputs: Outputs, name: str, leaves: Sequence[str], tasks: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `run.json` says about a group; how lm-eval averaged it follows from the numbers."""
    files = [by_name[name] for by_name in outputs.values()]
    metrics: dict[str, dict[str, Any]] = {}
    for key in reported(files[0].groups[name]):
        metric, _, filter_name = key.rpartition(",")
        sizes = [int(tasks[leaf]["n_documents"]) for leaf in leaves]
        for pooled in (True, False):
            if all(_averages(file, name, key, leaves, sizes, pooled) for file in files):
                entry = metrics.setdefault(metric, {"weight_by_size": pooled, "filters": []})
                entry["filters"].append(filter_name)
                break
    number = files[0].content["versions"].get(name)
    return {"members": list(leaves), "metrics": metrics, "version": None if number in (None, "N/A") else number}


def _averages(
    file: ResultsFile, group: str, key: str, leaves: Sequence[str], sizes: Sequence[int], pooled: bool
) -> bool:
    """Tell whether a group's value is the mean of its tasks, weighted by size or not."""
    values = [reported(file.content["results"][leaf]).get(key, math.nan) for leaf in leaves]
    wanted = reported(file.groups[group]).get(key, math.nan)
    return math.isclose(group_value(values, sizes, pooled=pooled), wanted, rel_tol=1e-9, abs_tol=1e-9)
