"""A metric of the corpus as parts of its documents, and back: what `score` and `weight` of `documents.parquet` are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Part = tuple[float | None, float | None]
"""Score and weight of one document."""


@dataclass(frozen=True)
class Aggregation:
    """How one of lm-eval's aggregations falls apart into documents.

    Attributes:
        part: What lm-eval's task says of a document -> (score, weight); weight is None for a plain mean.
        corpus: Scores and weights of all documents -> the value that lm-eval reports.
        logged: (score, weight) -> what lm-eval's task said: the inverse of `part`.
    """

    part: Callable[[Any], tuple[float, float | None]]
    corpus: Callable[[Any, Any], float]
    logged: Callable[[float, Any], Any]


def _ratio(total: float, weight: float) -> tuple[float, float]:
    """Return a document's part of a corpus ratio, total / weight; a document without weight adds nothing to it."""
    return (float(total) / float(weight) if weight else 0.0), float(weight)


_MEAN = Aggregation(
    part=lambda value: (float(value), None),
    corpus=lambda scores, _: float(np.mean(scores)),
    logged=lambda score, _: score,
)
AGGREGATIONS = {
    "mean": _MEAN,
    "nanmean": _MEAN,
    "perplexity": Aggregation(
        part=lambda value: (-float(value), None),
        corpus=lambda scores, _: float(np.exp(np.mean(scores))),
        logged=lambda score, _: -score,
    ),
    "weighted_perplexity": Aggregation(
        part=lambda value: _ratio(-value[0], value[1]),
        corpus=lambda scores, weights: float(np.exp(np.dot(scores, weights) / np.sum(weights))),
        logged=lambda score, weight: [-score * weight, weight],
    ),
    "bits_per_byte": Aggregation(
        part=lambda value: _ratio(-value[0] / math.log(2), value[1]),
        corpus=lambda scores, weights: float(np.dot(scores, weights) / np.sum(weights)),
        logged=lambda score, weight: [-score * math.log(2) * weight, weight],
    ),
}
"""Name of lm-eval's aggregation -> its parts; metrics of other aggregations exist for the corpus only."""


def split(aggregation: str, values: Sequence[Any]) -> Iterable[Part]:
    """Return (score, weight) of each document, or (None, None) where the metric exists for the corpus only.

    Example:
        >>> split("mean", [True, 0.5]), split("f1", [(1, 1), (0, 1)])
        ([(1.0, None), (0.5, None)], [(None, None), (None, None)])
    """
    known = AGGREGATIONS.get(aggregation)
    try:
        found = [known.part(value) for value in values] if known else []
    except (TypeError, IndexError, ValueError):  # a mean over something that is not a number
        found = []
    if not found or any(math.isnan(score) for score, _ in found):
        return [(None, None)] * len(values)
    return list(found)


def corpus_value(aggregation: str, parts: Sequence[Part]) -> float | None:
    """Return the value over the corpus that follows from the documents' parts; None where there are no parts."""
    known = AGGREGATIONS.get(aggregation)
    if known is None or not parts or any(score is None for score, _ in parts):
        return None
    return known.corpus([score for score, _ in parts], [weight for _, weight in parts])


def group_value(values: Sequence[float], sizes: Sequence[int], *, pooled: bool) -> float:
    """Return a group's value from those of its tasks: weighted by documents, or the plain mean over tasks.

    Example:
        >>> group_value([0.5, 1.0], [1, 3], pooled=True), group_value([0.5, 1.0], [1, 3], pooled=False)
        (0.875, 0.75)
    """
    return float(np.average(values, weights=sizes if pooled else None))
