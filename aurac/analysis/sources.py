"""A curve from whatever people have: ranks and accuracies, a mapping, a DataFrame, a file, a run record."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy.typing as npt

from aurac.analysis.frames import as_pandas, check_filled, numbers
from aurac.curve.curve import RankAccuracyCurve
from aurac.curve.files import only_one, read_curve
from aurac.errors import CurveError, MissingRecordError, RecordError
from aurac.results import Run, load

_DOCUMENT_COLUMNS = ("task", "doc_hash", "prompt_hash", "doc_id", "document")


def as_curve(
    source: Any,
    accuracies: npt.ArrayLike | None = None,
    *,
    scale: str = "fraction",
    duplicates: str = "error",
    task: str | None = None,
    metric: str | None = None,
) -> RankAccuracyCurve:
    """Make a curve of anything that `compute` takes; the arguments are those of `compute`."""
    options: dict[str, Any] = {"scale": scale, "duplicates": duplicates}
    labels: dict[str, Any] = {"task": task, "metric": metric}
    if isinstance(source, (RankAccuracyCurve, Run)) and scale != "fraction":
        raise CurveError(
            f"scale={scale!r} is about bare accuracies; a curve and a run record hold fractions. Leave scale= out."
        )
    if isinstance(source, RankAccuracyCurve):
        _check_labels(source, labels)
        return source
    if isinstance(source, (str, PathLike)):
        if not str(source):
            raise RecordError("the path is empty. Give a .csv or .json curve, or the folder of a run record.")
        return _from_path(Path(source), labels, options)
    if isinstance(source, Mapping):
        return RankAccuracyCurve(list(source), list(source.values()), **labels, **options)
    if isinstance(source, Run):
        return _from_run(source, task, metric)
    if accuracies is None:
        source = as_pandas(source)
    if accuracies is None and hasattr(source, "index") and hasattr(source, "to_dict") and hasattr(source, "dtype"):
        return RankAccuracyCurve(source.index.tolist(), source.tolist(), **labels, **options)
    if hasattr(source, "columns") and hasattr(source, "to_numpy"):
        return _from_frame(source, labels, options)
    if accuracies is None:
        raise CurveError(
            f"cannot read a curve from {type(source).__name__}. Give a curve, ranks and accuracies, a mapping, a "
            "Series, a DataFrame, or a path."
        )
    return RankAccuracyCurve(source, accuracies, **labels, **options)


def opened(source: Any) -> Any:
    """Return the run where the source is the folder of a record, else the source."""
    folder = isinstance(source, (str, PathLike)) and str(source) and Path(source).is_dir()
    return _load(Path(source)) if folder else source


def as_curves(source: Any, *, task: str | None = None, metric: str | None = None) -> list[RankAccuracyCurve]:
    """Make one curve a task: of a list of curves, of a run or its path, which may hold several, or of the only one.

    Raises:
        CurveError: If a task of the run has no curve, so that the others are not all of them.
    """
    if isinstance(source, (list, tuple)):
        return list(source)
    run = opened(source)
    if task is not None or not isinstance(run, Run) or len(run.tasks) < 2:
        return [as_curve(run, task=task, metric=metric)]
    if run.problems:
        raise CurveError(
            f"run {run.name!r} has no curve on {', '.join(run.problems)}, so there is no mean over its tasks. Finish "
            f"its sweep, or choose one with task=: {', '.join(run.tasks)}."
        )
    return [run.curve(name, metric) for name in run.tasks]


def _check_labels(curve: RankAccuracyCurve, labels: Mapping[str, str | None]) -> None:
    """Raise `CurveError` where another task or metric is asked for than that of a curve."""
    for kind, asked in labels.items():
        if asked is not None and (own := getattr(curve, kind)) not in (asked, None):
            raise CurveError(f"the curve is of {kind} {own!r}, not {asked!r}. Leave {kind}= out, or give that curve.")


def _from_path(path: Path, labels: Mapping[str, Any], options: Mapping[str, Any]) -> RankAccuracyCurve:
    if not path.exists():
        raise MissingRecordError(f"there is no {path}. Give a .csv or .json curve, or the folder of a run record.")
    if path.is_file():
        return read_curve(path, **labels, **options)
    return as_curve(_load(path), **labels, **options)


def _load(path: Path) -> Run:
    if not any(path.glob("**/run.json")) and any(path.glob("**/results_*.json")):
        raise RecordError(
            f"{path} holds lm-eval output (results_*.json). Make a run record of it with `aurac import {path} --out "
            "DIR` (one folder a rank, rank-4 or r4, written with --log_samples), and give that; or put ranks and "
            "accuracies in a .csv file."
        )
    return load(path)


def _from_run(run: Run, task: str | None, metric: str | None) -> RankAccuracyCurve:
    return run.curve(only_one(run.tasks, None, f"run {run.name!r}") if task is None else task, metric)


def _from_frame(frame: Any, labels: Mapping[str, Any], options: Mapping[str, Any]) -> RankAccuracyCurve:
    columns = [str(column) for column in frame.columns]
    if "rank" not in columns or not {"accuracy", "score"} & set(columns):
        raise CurveError(
            f"the DataFrame has the columns {', '.join(columns)}. Needed: rank and accuracy, or rank, score and doc_id "
            "or doc_hash."
        )
    chosen = dict(labels)
    for kind in labels:
        if kind in columns:
            check_filled(frame, [kind])
            if kind == "metric" and "filter" in columns:
                frame = _with_filters(frame)
            name = chosen[kind] = only_one(frame[kind].astype(str), labels[kind], "the DataFrame", kind)
            frame = frame[frame[kind].astype(str) == name]
    if "accuracy" in columns:
        ranks, accuracies = numbers(frame, "rank", whole=True), numbers(frame, "accuracy")
        return RankAccuracyCurve(ranks.astype(int).tolist(), accuracies, **chosen, **options)
    return _from_long_frame(frame, chosen, options)


def _with_filters(frame: Any) -> Any:
    """Return the frame with the names that `Run.curve` takes: "exact_match:strict-match" where a metric has filters."""
    names, filters = frame["metric"].astype(str), frame["filter"].astype(str)
    several = filters.groupby(names).transform("nunique") > 1
    return frame.assign(metric=names.where(~several, names + ":" + filters))


def _from_long_frame(frame: Any, chosen: Mapping[str, Any], options: Mapping[str, Any]) -> RankAccuracyCurve:
    """One row a document and rank; a document is named by its hashes, or by its number where there are none."""
    columns = [column for column in _DOCUMENT_COLUMNS if column in frame.columns]
    if "doc_hash" in columns:
        columns = [column for column in columns if column not in ("doc_id", "document")]
    if not {"doc_hash", "doc_id", "document"} & set(columns):
        raise CurveError("the DataFrame has scores but no doc_hash or doc_id, so its rows cannot be told apart.")
    check_filled(frame, columns)
    keys = frame[columns].astype(str).agg("/".join, axis=1)
    ranks, scores = numbers(frame, "rank", whole=True).astype(int), numbers(frame, "score")
    long = frame.assign(document=keys, rank=ranks, score=scores)[["document", "rank", "score"]]
    if (twice := long.duplicated(["document", "rank"])).any():
        row = long[twice].iloc[0]
        raise CurveError(
            f"document {row['document']!r} has two scores at rank {row['rank']}. Give one a document and rank."
        )
    table = long.pivot(index="document", columns="rank", values="score")
    if (missing := table.isna()).any(axis=None):
        first = missing.stack()
        document, rank = first[first].index[0]
        raise CurveError(
            f"document {document!r} has no score at rank {rank} ({int(missing.to_numpy().sum())} such cells). Score "
            "it, or leave the document out at every rank."
        )
    return RankAccuracyCurve.from_scores(
        [int(rank) for rank in table.columns],
        table.to_numpy(),
        documents=[str(document) for document in table.index],
        **chosen,
        **options,
    )
