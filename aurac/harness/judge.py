"""One cell: the answers of a model to the frozen prompts of a task, judged as `lm_eval.evaluate` judges them."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lm_eval.api.metrics import mean
from lm_eval.api.model import LM

from aurac.harness.broken_logits import watching
from aurac.harness.generators import evaluation_seeds
from aurac.harness.gold import gold_values
from aurac.harness.per_document import split
from aurac.harness.suite import Document, Leaf, aggregation_name
from aurac.results import Cell
from aurac.results.tables import DOCUMENT_COLUMNS


@dataclass(frozen=True)
class Answers:
    """What a model answered to a task, or to a part of its documents.

    Attributes:
        given: For each instance, an answer for each of its repeats.
        broken: Whether the model's logits were NaN while it wrote texts; log-likelihoods show that themselves.
    """

    given: list[list[Any]]
    broken: bool


def measure_cell(lm: LM, leaf: Leaf, rank: int) -> Cell:
    """Ask the model everything, and judge the answers.

    Args:
        lm: The model, already at this rank.
        leaf: The task; its instances are used, and left without answers.
        rank: Rank, from 1; only written into the cell.

    Returns:
        The cell: all metrics under all filters, for the corpus as lm-eval reports them and for each document where
        the metric has a value for one. A cell is marked as failed where a log-likelihood is not a number, where the
        model's logits were NaN while it wrote a text, and where the task's own code cannot judge an answer.
    """
    started = time.perf_counter()
    with evaluation_seeds():
        cell = judge(leaf, rank, ask(lm, leaf))
    return replace(cell, seconds=time.perf_counter() - started)


def ask(lm: LM, leaf: Leaf) -> Answers:
    """Return the model's answers to all instances of a task."""
    _forget_answers(leaf)
    try:
        with watching(lm) as watch:
            _ask(lm, leaf)
        return Answers([list(instance.resps) for instance in leaf.task.instances], _n_texts(leaf) > 0 and watch.found())
    finally:
        _forget_answers(leaf)


def judge(leaf: Leaf, rank: int, answers: Answers) -> Cell:
    """Return the cell that the answers make; its seconds are 0."""
    _forget_answers(leaf)
    try:
        for instance, found in zip(leaf.task.instances, answers.given, strict=True):
            instance.resps.extend(found)
        if error := _not_numbers(leaf) or _broken_texts(leaf, answers.broken):
            return failed_cell(leaf.name, rank, 0.0, error)
        metrics, rows = _judge(leaf)
    except _JudgeError as exc:
        return failed_cell(leaf.name, rank, 0.0, str(exc))
    finally:
        _forget_answers(leaf)
    return Cell(leaf.name, rank, 0.0, metrics, _rows(rows))


def failed_cell(task: str, rank: int, seconds: float, error: str) -> Cell:
    """Return a cell without a number, and why it has none."""
    return Cell(task, rank, seconds, {}, _rows([]), error)


def _forget_answers(leaf: Leaf) -> None:
    for instance in leaf.task.instances:
        instance.resps, instance.filtered_resps = [], {}


def _ask(lm: LM, leaf: Leaf) -> None:
    """Fill in `resps`, one for each repeat of each instance."""
    by_type: dict[str, list[Any]] = {}
    for instance in leaf.task.instances:
        by_type.setdefault(instance.request_type, []).extend([instance] * (instance.repeats or 1))
    for request_type, instances in by_type.items():
        for answer, instance in zip(getattr(lm, request_type)(instances), instances, strict=True):
            instance.resps.append(answer)


def _not_numbers(leaf: Leaf) -> str | None:
    """Say which log-likelihoods are NaN, which is what broken weights look like; None where all is well."""
    bad = [i.doc_id for i in leaf.task.instances if any(math.isnan(x) for x in map(_log_likelihood, i.resps))]
    if not bad:
        return None
    return (
        f"{len(bad)} of {len(leaf.task.instances)} log-likelihoods are not numbers (NaN), the first for document "
        f"{bad[0]}. The adapter's weights at this rank, or the dtype, overflow."
    )


def _broken_texts(leaf: Leaf, broken: bool) -> str | None:
    """Say that logits were NaN while texts were written."""
    if not broken:
        return None
    return (
        f"logits were not numbers (NaN) while {_n_texts(leaf)} texts were generated. The adapter's weights at this "
        "rank, or the dtype, overflow."
    )


def _n_texts(leaf: Leaf) -> int:
    return sum(instance.request_type == "generate_until" for instance in leaf.task.instances)


def _log_likelihood(answer: Any) -> float:
    """Return the number in an answer: (log-likelihood, is greedy), a log-likelihood, or 0 for a generated text."""
    value = answer[0] if isinstance(answer, tuple) else answer
    return 0.0 if isinstance(value, str) else float(value)


class _JudgeError(Exception):
    """The task's own code failed on an answer."""


def _judge(leaf: Leaf) -> tuple[dict[str, float], list[tuple[Any, ...]]]:
    """Return "metric,filter" -> value over the corpus, and the rows of all documents."""
    try:
        return _judge_answers(leaf)
    except Exception as exc:  # tasks are other people's code
        raise _JudgeError(f"the task cannot judge the answers: {type(exc).__name__}: {exc}") from exc


def _judge_answers(leaf: Leaf) -> tuple[dict[str, float], list[tuple[Any, ...]]]:
    task = leaf.task
    task.apply_filters()
    values: dict[tuple[str, str], list[tuple[Document, Any]]] = {}
    for filter_name in task.instances[0].filtered_resps:
        for document in leaf.documents:
            answers = [instance.filtered_resps[filter_name] for instance in document.instances]
            # A copy, because a task that changes its document would change it for the next rank.
            judged = task.process_results(copy.deepcopy(document.instances[0].doc), answers)
            for metric, value in judged.items():
                values.setdefault((metric, filter_name), []).append((document, value))
    values = {**values, **{key: found for key, found in gold_values(task, leaf.documents).items() if key not in values}}
    metrics: dict[str, float] = {}
    rows: list[tuple[Any, ...]] = []
    for (metric, filter_name), found in values.items():
        # Looked up now, because a metric that returns a dictionary names its values only when it is called.
        aggregation = task.aggregation().get(metric, mean)
        metrics |= _aggregate(aggregation, [value for _, value in found], metric, filter_name)
        parts = split(aggregation_name(aggregation), [value for _, value in found])
        for (document, _), (score, weight) in zip(found, parts, strict=True):
            names = (document.doc_id, document.doc_hash, document.prompt_hash, filter_name, metric)
            rows.append((*names, score, weight))
    return metrics, rows


def _aggregate(
    aggregation: Callable[[list[Any]], Any], values: list[Any], metric: str, filter_name: str
) -> dict[str, float]:
    """Return the value over the corpus; of an aggregation that has several, each by name, as lm-eval shows them all."""
    try:
        found = aggregation(values)
    except OverflowError:  # the perplexity of a broken model
        found = math.inf
    if isinstance(found, Mapping):
        return {f"{metric}.{name},{filter_name}": float(value) for name, value in found.items()}
    return {f"{metric},{filter_name}": float(found)}


def _rows(rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    return {name: [row[number] for row in rows] for number, name in enumerate(DOCUMENT_COLUMNS)}
