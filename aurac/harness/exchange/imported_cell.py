"""One cell out of lm-eval's samples: the scores of the documents, checked against what lm-eval reports."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from aurac.errors import RecordError
from aurac.harness.exchange.lm_eval_output import ResultsFile
from aurac.harness.passages import passages
from aurac.harness.per_document import Part, corpus_value, split
from aurac.results import Cell
from aurac.results.tables import DOCUMENT_COLUMNS
from aurac.signature import documents_hash

Samples = Sequence[Mapping[str, Any]]


def make_cell(file: ResultsFile, task: str, samples: Samples) -> Cell:
    """Return the cell of a task at the file's rank, with every metric under every filter.

    Raises:
        RecordError: If the samples do not give what the results say.
    """
    metrics = reported(file.content["results"][task])
    known = aggregations(file, task)
    rows: list[tuple[Any, ...]] = []
    for metric, filter_name in dict.fromkeys((m, sample["filter"]) for sample in samples for m in sample["metrics"]):
        having = [sample for sample in samples if sample["filter"] == filter_name and metric in sample["metrics"]]
        values = [sample[metric] for sample in having]
        parts = _parts(file, task, f"{metric},{filter_name}", known.get(metric), values, metrics)
        for sample, (score, weight) in zip(having, parts, strict=True):
            names = (sample["doc_id"], sample["doc_hash"], sample["prompt_hash"], filter_name, metric)
            rows.append((*names, score, weight))
    columns = {name: [row[number] for row in rows] for number, name in enumerate(DOCUMENT_COLUMNS)}
    return Cell(task, file.rank, None, metrics, columns)


def task_settings(file: ResultsFile, task: str, samples: Samples, cluster: str | None = None) -> dict[str, Any]:
    """Return what `run.json` says about the task, as our own sweep writes it.

    Args:
        file: Where it was measured.
        task: A leaf task.
        samples: With what the model was asked, and the documents.
        cluster: Field of the documents that some share, as for `aurac.harness.passages.passages`.
    """
    config, version = file.content["configs"][task], file.content["versions"].get(task)
    filters = list(dict.fromkeys(sample["filter"] for sample in samples))
    documents = [sample for sample in samples if sample["filter"] == filters[0]]
    higher = file.content.get("higher_is_better", {}).get(task, {})
    metrics = {metric: aggregation or "mean" for metric, aggregation in aggregations(file, task).items()}
    shared = passages(task, {s["doc_id"]: s.get("doc", {}) for s in documents}, cluster)
    return {
        **({} if shared is None else {"clusters": shared}),
        "num_fewshot": shots(file, task),
        "version": None if version in (None, "N/A") else str(version),
        "output_type": config.get("output_type"),
        "dataset": [config.get("dataset_path"), config.get("dataset_name")],
        "n_documents": len(documents),
        "docs_hash": documents_hash(f"{s['doc_hash']}/{s['prompt_hash']}" for s in documents),
        "requests_sha256": _requests_sha256(documents, str(config.get("output_type"))),
        "metrics": {
            metric: {"aggregation": aggregation, "higher_is_better": higher.get(metric) is not False}
            for metric, aggregation in metrics.items()
        },
        "filters": filters,
    }


def shots(file: ResultsFile, task: str) -> int:
    """Return the number of examples in the prompts of a task."""
    return int(file.content["n-shot"].get(task) or 0)


def reported(results: Mapping[str, Any]) -> dict[str, float]:
    """Return "metric,filter" -> value of a task's or group's results, without standard errors and labels.

    Example:
        >>> reported({"alias": "arc", "acc,none": 0.5, "acc_stderr,none": "N/A", "sample_len": 3})
        {'acc,none': 0.5}
    """
    return {
        key: float(value)
        for key, value in results.items()
        if "," in key and not key.partition(",")[0].endswith("_stderr") and isinstance(value, (int, float))
    }


def aggregations(file: ResultsFile, task: str) -> dict[str, str | None]:
    """Return metric -> name of its aggregation in lm-eval; None where the results file does not say it."""
    entries = file.content["configs"][task].get("metric_list") or []
    listed = {str(entry["metric"]): entry.get("aggregation") for entry in entries if "metric" in entry}
    named = dict.fromkeys(key.rpartition(",")[0] for key in reported(file.content["results"][task]))
    found = {metric: listed.get(metric) or _default(metric) for metric in named}
    # A function of the task's own was written down as its source.
    return {metric: name if name is None or name.isidentifier() else "custom" for metric, name in found.items()}


def _default(metric: str) -> str | None:
    from lm_eval.api.registry import METRIC_AGGREGATION_REGISTRY

    from aurac.harness.suite import aggregation_name

    function = METRIC_AGGREGATION_REGISTRY.get(metric, None)
    return None if function is None else aggregation_name(function)


def _parts(
    file: ResultsFile, task: str, key: str, aggregation: str | None, values: Sequence[Any], metrics: Mapping[str, float]
) -> Sequence[Part]:
    """Return the documents' parts of a metric, checked; (None, None) where it exists for the corpus only.

    A metric whose aggregation is not said is taken for a mean if that gives what lm-eval reports.
    """
    parts = list(split(aggregation or "mean", values))
    value, wanted = corpus_value(aggregation or "mean", parts), metrics.get(key)
    if wanted is None:
        raise RecordError(f"rank {file.rank}: {file.path} has no {key} of {task}, which its samples have.")
    if value is None or math.isclose(value, wanted, rel_tol=1e-9, abs_tol=1e-9):
        return parts
    if aggregation is None:
        return [(None, None)] * len(values)
    raise RecordError(
        f"rank {file.rank}: {key} of {task} is {wanted:.9g} in {file.path}, and {value:.9g} by its samples. One of the "
        "files was changed; run lm_eval again."
    )


def _requests_sha256(documents: Samples, output_type: str) -> str | None:
    """Hash all that the model was asked, as `aurac.harness.suite.Leaf` does; None where it was not logged."""
    digest = hashlib.sha256()
    request_type = "loglikelihood" if output_type == "multiple_choice" else output_type
    for sample in documents:
        if not isinstance(arguments := sample.get("arguments"), dict):
            return None
        for request in arguments.values():
            for part in (request_type, sample["doc_id"], *request.values()):
                text = part if isinstance(part, str) else repr(part)
                digest.update(f"{len(text)}:{text}".encode(errors="surrogatepass"))
    return digest.hexdigest()
