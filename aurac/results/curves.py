"""Curves out of the cells of a record: of a task, of a group of tasks, of a corpus ratio."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from aurac.curve.curve import RankAccuracyCurve
from aurac.curve.seeds import SeedScores
from aurac.curve.strata import Strata, linearised
from aurac.errors import RecordError, UnknownNameError
from aurac.quadrature import Vector
from aurac.results.cells import DONE, PART, Key, StoredCell
from aurac.results.columns import Column
from aurac.results.parts import Audit, check_said, part_curve, part_of

BASE_RANK = 0
"""The rank of the cells of the base model without its adapter; they are never part of a curve."""
_UNSAID = (None, "prefix", "trained", "full")
"""Inference rules that signatures leave out, as they did before there were others."""
_HEADLINES = ("acc", "exact_match", "bits_per_byte")
_LOG = {"perplexity", "weighted_perplexity"}
"""Aggregations that exponentiate; their curves stay in the log domain (nats), where documents average."""


def headline_metric(names: Sequence[str]) -> str:
    """Return the metric of a task for which none was asked: acc, exact_match or bits_per_byte, else its first one.

    Example:
        >>> headline_metric(["word_perplexity", "byte_perplexity", "bits_per_byte"]), headline_metric(["bleu", "acc"])
        ('bits_per_byte', 'acc')
    """
    return next((name for name in _HEADLINES if name in names), names[0])


class NoCurveError(RecordError):
    """A sound record that has no curve of a task, because a cell failed or is not measured yet."""


@dataclass(frozen=True)
class Content:
    """A record as read: `run.json`, and the cells that were measured."""

    run: Mapping[str, Any]
    cells: Mapping[Key, StoredCell]
    where: str

    def curve(self, task: str, metric: str | None, filter_name: str | None, *, name: str) -> RankAccuracyCurve:
        """Return the curve of a leaf task or a group.

        Args:
            task: lm-eval's name of the task or group.
            metric: A recorded metric, or None for the headline one.
            filter_name: A filter of lm-eval, or None for the task's first one.
            name: What to call the curve.

        Raises:
            NoCurveError: If a cell failed, or nothing was measured yet.
            RecordError: If the files contradict each other.
            UnknownNameError: If the task has no such metric or filter.
        """
        if task in self.run["groups"]:
            return self._group_curve(task, metric, filter_name, name)
        ranks = self._ranks(task)
        check_said(self.run, task, [self.cells[task, rank].entry["status"] for rank in ranks], self.where)
        recorded = self._recorded(task, ranks[0])
        metric, filter_name = self._choose(task, recorded, metric, filter_name)
        raw = [Column.of(self.cells[task, rank].rows, metric, filter_name) for rank in ranks]
        audit = self._audit(task)
        columns = raw if audit is None else [audit.expand(column) for column in raw]
        aggregation = self._setting(task, metric, "aggregation", "mean")
        aggregated = [self._aggregated(task, rank, f"{metric},{filter_name}", aggregation) for rank in ranks]
        options: dict[str, Any] = {
            "task": task,
            "metric": f"log_{metric}" if aggregation in _LOG else metric,
            "num_fewshot": self.run["tasks"][task].get("num_fewshot"),
            "task_version": self.run["tasks"][task].get("version"),
            "higher_is_better": self._setting(task, metric, "higher_is_better", True),
            "name": name,
            "inference": self._inference(),
            "max_length": self.run.get("identity", {}).get("max_length"),
            "unit": self._unit(),
        }
        options["part"] = part_curve(part_of(self.run, task), [column.ids for column in raw])
        scores = self._scores(task, ranks, columns)
        if scores is None:
            options["base"] = self._base(task, metric, filter_name, aggregation, None)
            return RankAccuracyCurve(ranks, aggregated, bounded=_is_fraction(aggregated, options), **options)
        options["base"] = self._base(task, metric, filter_name, aggregation, columns[0])
        found = [column.linearised() for column in raw]
        self._check(task, ranks, [float(values.mean()) for values in found], aggregated)
        bounded = columns[0].weights is None and _is_fraction(np.concatenate(found), options)
        options["prompts"] = self._prompts(task, columns)
        documents = _unique([f"{task}/{key}" for key in columns[0].documents])
        options["clusters"] = self._clusters(task, columns[0].ids)
        return RankAccuracyCurve.from_scores(ranks, scores, documents=documents, bounded=bounded, **options)

    def _audit(self, task: str) -> Audit | None:
        """Return how scores of audited documents stand for all; None where all ranks were asked the same."""
        state = part_of(self.run, task)
        if state is None or "anchor" not in state:
            return None
        if (cell := self.cells.get((task, state["anchor"]))) is None:
            raise NoCurveError(f"task {task!r} was not measured at rank {state['anchor']}, the anchor of its audit.")
        return Audit(task, Column.of(cell.rows, state["metric"], state["filter"]))

    def _inference(self) -> str | None:
        """Return the inference rule where signatures name it: not those that are older than the key."""
        rule = self.run.get("identity", {}).get("adapter", {}).get("inference")
        return None if rule in _UNSAID else rule

    def _unit(self) -> str:
        """Return what the ranks of the cells count."""
        return str(self.run.get("identity", {}).get("adapter", {}).get("unit", "rank"))

    def _base(
        self, task: str, metric: str, filter_name: str, aggregation: str, like: Column | None
    ) -> Vector | float | None:
        """Return what the base model scores: of the documents of a column, or over the corpus; None if not measured."""
        cell = self.cells.get((task, BASE_RANK))
        if cell is None or cell.entry["status"] not in (DONE, PART):
            return None
        column, audit = Column.of(cell.rows, metric, filter_name), self._audit(task)
        if audit is not None and column.values is not None:
            column = audit.expand(column)
        if like is not None and column.values is not None and column.documents == like.documents:
            return column.linearised()
        value = self._aggregated(task, BASE_RANK, f"{metric},{filter_name}", aggregation)
        return value if math.isfinite(value) else None

    def _ranks(self, task: str) -> list[int]:
        """Return the ranks at which the task was measured, or raise where it has no curve."""
        mine = {rank: c for (name, rank), c in self.cells.items() if name == task and rank != BASE_RANK}
        for rank, cell in sorted(mine.items()):
            if cell.entry["status"] == "failed":
                raise NoCurveError(f"task {task!r} failed at rank {rank}: {cell.entry.get('error')}")
        if not mine:
            raise NoCurveError(f"task {task!r} was not measured yet. The same `aurac score` goes on from there.")
        return sorted(mine)

    def _recorded(self, task: str, rank: int) -> dict[str, list[str]]:
        """Return metric -> filters, in the task's own order."""
        found: dict[str, list[str]] = {}
        for key in self.cells[task, rank].entry["metrics"]:
            metric, _, filter_name = key.rpartition(",")
            found.setdefault(metric, []).append(filter_name)
        return found

    def _choose(
        self, task: str, recorded: Mapping[str, Sequence[str]], metric: str | None, filter_name: str | None
    ) -> tuple[str, str]:
        metric = metric or headline_metric(list(recorded))
        if metric not in recorded:
            raise UnknownNameError("metric", metric, recorded, of=f"of task {task!r}")
        if filter_name is not None and filter_name not in recorded[metric]:
            raise UnknownNameError("filter", filter_name, recorded[metric], of=f"of task {task!r}")
        return metric, filter_name or recorded[metric][0]

    def _setting(self, task: str, metric: str, key: str, default: Any) -> Any:
        return self.run["tasks"][task].get("metrics", {}).get(metric, {}).get(key, default)

    def _aggregated(self, task: str, rank: int, key: str, aggregation: str) -> float:
        value = self.cells[task, rank].entry["metrics"].get(key)
        if value is None:
            return math.nan
        return math.log(value) if aggregation in _LOG else float(value)

    def _clusters(self, task: str, ids: Sequence[int]) -> list[str] | None:
        """Return the passage of each document, None where the record has none, or was made before records had them."""
        found = self.run["tasks"][task].get("clusters")
        labels = found.get("labels") if isinstance(found, Mapping) else None
        if not isinstance(labels, list) or len(labels) != len(ids) or list(ids) != sorted(ids):
            return None
        return [f"{task}/{label}" for label in labels]

    def _scores(self, task: str, ranks: Sequence[int], columns: Sequence[Column]) -> npt.NDArray[np.float64] | None:
        """Return documents x ranks, or None where the metric exists for the corpus only."""
        if any(column.values is None for column in columns):
            return None
        for rank, column in zip(ranks, columns, strict=True):
            if column.documents != columns[0].documents:
                if set(column.ids) != set(columns[0].ids):
                    return None  # a metric that some documents lack, depending on the answer
                raise RecordError(
                    f"{self.where}: task {task!r} has other prompts at rank {rank} than at rank {ranks[0]}. Score it "
                    "again into another folder."
                )
        return np.column_stack([column.linearised() for column in columns])

    def _prompts(self, task: str, columns: Sequence[Column]) -> SeedScores | None:
        """Return the scores under every draw of few-shot examples, None where there was one."""
        found = [draws for column in columns if (draws := column.linearised_draws()) is not None]
        if not found:
            return None
        seeds = self.run.get("identity", {}).get("fewshot_seeds")
        means = [column.linearised() for column in columns]
        if (
            not isinstance(seeds, list)
            or len(found) < len(columns)
            or any(draws.shape[1] != len(seeds) for draws in found)
            or not np.allclose([draws.mean(axis=1) for draws in found], means, rtol=1e-9, atol=1e-9)
        ):
            raise RecordError(
                f"{self.where}: the scores of task {task!r} under each draw of examples do not fit the seeds in "
                "run.json, or their mean. One of them was changed; score again into another folder."
            )
        return SeedScores(np.stack(found, axis=2), tuple(map(str, seeds)))

    def _check(self, task: str, ranks: Sequence[int], means: Sequence[float], aggregated: Sequence[float]) -> None:
        for rank, mean, value in zip(ranks, means, aggregated, strict=True):
            if math.isfinite(value) and not math.isclose(mean, value, rel_tol=1e-9, abs_tol=1e-9):
                raise RecordError(
                    f"{self.where}: run.json and documents.parquet disagree on task {task!r} at rank {rank}: "
                    f"{value:.9g} and {mean:.9g}. One of them was changed; score again into another folder."
                )

    def _group_curve(self, group: str, metric: str | None, filter_name: str | None, name: str) -> RankAccuracyCurve:
        settings = self.run["groups"][group]
        metric = metric or headline_metric(list(settings["metrics"]))
        if metric not in settings["metrics"]:
            raise UnknownNameError("metric", metric, settings["metrics"], of=f"of group {group!r}")
        how = settings["metrics"][metric]
        if filter_name is None and how.get("filters"):
            filter_name = how["filters"][0]
        members = [self.curve(member, metric, filter_name, name=name) for member in settings["members"]]
        ranks = sorted(set.intersection(*(set(member.ranks) for member in members)))
        if not ranks:
            raise RecordError(
                f"{self.where}: no rank has all tasks of {group!r} yet. Run the same `aurac score` again."
            )
        members = [member.select_ranks(ranks) for member in members]
        shots = {member.num_fewshot for member in members}
        options: dict[str, Any] = {
            "task": group,
            "metric": members[0].metric,
            "num_fewshot": shots.pop() if len(shots) == 1 else None,
            "task_version": settings.get("version"),
            "higher_is_better": members[0].higher_is_better,
            "name": name,
            "inference": self._inference(),
            "max_length": self.run.get("identity", {}).get("max_length"),
            "unit": self._unit(),
        }
        pooled = bool(how.get("weight_by_size", True))
        sizes = [int(self.run["tasks"][member]["n_documents"]) for member in settings["members"]]
        if any(member.scores is None for member in members):
            weights = sizes if pooled else None
            values = np.average([member.accuracies for member in members], axis=0, weights=weights)
            return RankAccuracyCurve(ranks, values, bounded=all(m.bounded for m in members), **options)
        scores = np.concatenate([m.scores for m in members if m.scores is not None])
        options |= {
            "documents": [key for member in members for key in member.documents or ()],
            "bounded": all(member.bounded for member in members),
            "clusters": _joined_clusters(members),
        }
        draws = _joined_draws(members)
        of_base = [member.base_scores for member in members if member.base_scores is not None]
        base = np.concatenate(of_base) if len(of_base) == len(members) else None
        if not pooled:
            labels = tuple(str(member.task) for member in members for _ in member.documents or ())
            strata = Strata(labels, scores)
            options["strata"], scores = strata, strata.linearised()
            base = None if base is None else Strata(labels, base[:, None]).linearised()[:, 0]
            draws = draws and replace(draws, values=linearised(draws.values, labels))
        options["prompts"] = draws
        return RankAccuracyCurve.from_scores(ranks, scores, base=base, **options)


def _joined_clusters(members: Sequence[RankAccuracyCurve]) -> list[str] | None:
    """Return the passages of all members; documents of a member without passages stand alone."""
    if all(member.clusters is None for member in members):
        return None
    return [label for member in members for label in member.clusters or member.documents or ()]


def _joined_draws(members: Sequence[RankAccuracyCurve]) -> SeedScores | None:
    """Return the scores of all members under every draw of examples."""
    found = [member.prompts for member in members if member.prompts is not None]
    if len(found) < len(members):
        return None
    return SeedScores(np.concatenate([scores.values for scores in found]), found[0].labels)


def _is_fraction(values: npt.ArrayLike, options: Mapping[str, Any]) -> bool:
    """Tell whether the values can be accuracies: from 0 to 1, and higher is better."""
    array = np.asarray(values, dtype=np.float64)
    return bool(options["higher_is_better"]) and bool(((array >= 0) & (array <= 1)).all())


def _unique(keys: Sequence[str]) -> list[str]:
    """Append #2, #3 ... to keys that a data set repeats, in the order of the documents."""
    seen: Counter[str] = Counter()
    unique = []
    for key in keys:
        seen[key] += 1
        unique.append(key if seen[key] == 1 else f"{key}#{seen[key]}")
    return unique
