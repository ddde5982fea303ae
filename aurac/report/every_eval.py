"""A run in the schema of Every Eval Ever (https://github.com/evaleval/every_eval_ever), version 0.3.0: one JSON file.

Every task gives one result for each rank and one for AURAC, all with their uncertainty.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from aurac.analysis.compute import compute
from aurac.analysis.score import AuracScore
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import RecordError
from aurac.results import Run
from aurac.results.files import plain
from aurac.results.long_table import write_new
from aurac.statistics.estimate import Interval

SCHEMA = "0.3.0"


def write_every_eval(run: Run, file: Path) -> None:
    """Write the record of a run.

    Raises:
        RecordError: If no task of the run has a curve yet, or the file exists.
    """
    content = json.dumps(every_eval(run), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_new(file, lambda path: path.write_text(content, encoding="utf-8"))


def every_eval(run: Run) -> dict[str, Any]:
    """Return the record of a run as JSON holds it."""
    if not run.tasks:
        raise RecordError(f"run {run.name!r} has no curve, so there is nothing to export. Finish its sweep first.")
    record = run.record
    versions, model = record.get("versions", {}), _model(run)
    finished = str(int(datetime.fromisoformat(str(record["updated"])).timestamp()))
    return {
        "schema_version": SCHEMA,
        "evaluation_id": f"aurac/{model['id']}/{finished}",
        "evaluation_timestamp": str(record["updated"]),
        "retrieved_timestamp": finished,
        "source_metadata": {
            "source_name": "aurac",
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "other",
        },
        "eval_library": {
            "name": "lm_eval",
            "version": str(versions.get("lm_eval", "unknown")),
            "additional_details": {name: str(version) for name, version in versions.items()},
        },
        "model_info": model,
        "evaluation_results": [result for task in run.tasks for result in _results(run, task)],
    }


def _model(run: Run) -> dict[str, Any]:
    identity = run.record.get("identity", {})
    adapter, base = identity.get("adapter", {}), identity.get("base", {})
    details = {f"adapter_{key}": _text(value) for key, value in adapter.items() if key != "path"}
    details |= {f"base_{key}": _text(value) for key, value in base.items() if key != "name_or_path"}
    details |= {key: _text(value) for key, value in identity.items() if not isinstance(value, Mapping)}
    name = str(base.get("name_or_path", "unknown"))
    return {
        "name": run.name,
        "id": Path(name).name if Path(name).is_dir() else name,
        "inference_engine": {"name": str(identity.get("engine", "unknown"))},
        "additional_details": {**details, "deployment_type": "self_deployed", "model_availability": "unknown"},
    }


def _results(run: Run, task: str) -> Iterator[dict[str, Any]]:
    score = compute(run, task=task)
    curve = score.curve
    shared = {"evaluation_name": task, "source_data": _source(run, task)}
    for rank in curve.ranks:
        yield {
            **shared,
            "evaluation_result_id": f"{task}/rank-{rank}",
            "metric_config": _metric(curve, curve.metric or "accuracy", {"rank": rank}),
            "score_details": _details(compute(_at(curve, rank))),
        }
    yield {
        **shared,
        "evaluation_result_id": f"{task}/aurac",
        "metric_config": _metric(
            curve, "aurac", {"of": curve.metric or "accuracy", "axis": score.axis, "rule": score.rule}
        ),
        "score_details": _details(score),
    }


def _at(curve: RankAccuracyCurve, rank: int) -> RankAccuracyCurve:
    """Return the curve of one rank: its AURAC is the accuracy there, with the same interval."""
    column = curve.ranks.index(rank)
    options: dict[str, Any] = {
        "bounded": curve.bounded,
        "higher_is_better": curve.higher_is_better,
        "metric": curve.metric,
        "part": curve.part,
    }
    if curve.scores is None:
        return RankAccuracyCurve([rank], [float(curve.accuracies[column])], **options)
    return RankAccuracyCurve.from_scores([rank], curve.scores[:, [column]], documents=curve.documents, **options)


def _metric(curve: RankAccuracyCurve, name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    bounds = {"min_score": 0.0, "max_score": 1.0, "metric_unit": "proportion"} if curve.bounded else {}
    return {
        "metric_id": name,
        "metric_name": name,
        "metric_parameters": dict(parameters),
        "lower_is_better": not curve.higher_is_better,
        "score_type": "continuous",
        **bounds,
    }


def _details(score: AuracScore) -> dict[str, Any]:
    uncertainty: dict[str, Any] = {}
    if score.stderr:  # zero where nothing varies: unknown, not certain
        uncertainty["standard_error"] = {"value": score.stderr, "method": "analytic"}
    if score.interval is not None:
        uncertainty["confidence_interval"] = _interval(score.interval)
    if score.n_documents is not None:
        uncertainty["num_samples"] = score.n_documents
    details = {"signature": str(score.signature)}
    if score.curve.part is not None:
        details["documents_asked"] = str(score.curve.part)
        details["interval_about"] = (
            "the whole benchmark" if score.interval and score.interval.target == "benchmark" else "new documents"
        )
    return {"score": score.value, "details": details, **({"uncertainty": uncertainty} if uncertainty else {})}


def _interval(interval: Interval) -> dict[str, Any]:
    return {
        "lower": interval.low,
        "upper": interval.high,
        "confidence_level": interval.confidence_level,
        "method": interval.method,
    }


def _source(run: Run, task: str) -> dict[str, Any]:
    """Return where the documents come from: the hub's name where the task has one."""
    name = run.record.get("asked", {}).get(task, {}).get("task", task)
    settings = run.record.get("tasks", {}).get(name, {})
    repo, subset = (*settings.get("dataset", (None, None)), None, None)[:2]
    details = {"num_fewshot": _text(settings.get("num_fewshot")), "docs_hash": _text(settings.get("docs_hash"))}
    if not repo or repo in ("json", "csv", "parquet"):
        return {"dataset_name": name, "source_type": "other", "additional_details": details}
    return {
        "dataset_name": f"{repo}/{subset}" if subset else str(repo),
        "source_type": "hf_dataset",
        "hf_repo": str(repo),
        "additional_details": details,
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(plain(value))
