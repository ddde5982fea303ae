"""What to ask next of one task: from what is known, the documents that are wanted at each rank.

A step is a pure function of the documents' hashes and of what was measured, so that an interrupted sweep, or one with
another rank added, comes to the same documents.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aurac.harness.part_order import Headline, Wanted, hash_order, is_short
from aurac.harness.suite import Leaf
from aurac.quadrature import weights
from aurac.results.curves import BASE_RANK
from aurac.statistics.audit import FEWEST, allocate, spreads, strata
from aurac.statistics.intervals import per_document
from aurac.statistics.part_of_documents import documents_needed

PILOT = 100
"""Documents that show how many are needed."""
FEW = 10
"""Documents of the pilot that must differ from the most common score, for a spread that can be relied on."""
FEW_CHANGES = 20
"""Audited documents whose score must differ from that of the anchor rank."""
MIDDLE = (0.1, 0.9)
"""Scores between which an interval from the spread holds."""

Scores = Mapping[int, float]
"""lm-eval's number of a document -> its score on the headline metric, at one rank."""


@dataclass(frozen=True)
class Step:
    """What is wanted of a task.

    Attributes:
        state: What `run.json` says under "parts".
        documents: Rank -> lm-eval's numbers of its documents.
        final: Whether that is all, or a pilot.
    """

    state: Mapping[str, Any]
    documents: Mapping[int, frozenset[int]]
    final: bool


def next_step(
    leaf: Leaf,
    headline: Headline,
    wanted: Wanted,
    ranks: Sequence[int],
    known: Mapping[int, Scores],
    state: Mapping[str, Any] | None,
) -> Step:
    """Return what is wanted of a task next.

    Args:
        leaf: The task.
        headline: Its curve that decides.
        wanted: What was asked for.
        ranks: All ranks, the base model's among them where it is measured.
        known: Rank -> scores so far; a rank that failed or was not measured is left out.
        state: What was decided before, None at first.
    """
    if state is not None and "whole" in state:
        return _whole(leaf, ranks, state)
    make = _precision_step if wanted.audit is None else _audit_step
    return make(leaf, headline, wanted, ranks, known, state or {"of": len(leaf.documents)})


def _whole(leaf: Leaf, ranks: Sequence[int], state: Mapping[str, Any], why: str | None = None) -> Step:
    every = frozenset(document.doc_id for document in leaf.documents)
    return Step(state if why is None else {**state, "whole": why}, dict.fromkeys(ranks, every), True)


def _precision_step(
    leaf: Leaf, _: Headline, wanted: Wanted, ranks: Sequence[int], known: Mapping[int, Scores], state: Mapping[str, Any]
) -> Step:
    order = hash_order(leaf.documents)
    if "asked" not in state:
        state = {**state, "precision": wanted.precision, "pilot": PILOT}
        if why := is_short(leaf, PILOT):
            return _whole(leaf, ranks, state, why)
        pilot = frozenset(order[:PILOT])
        if not _all_know(pilot, ranks, known):
            return Step(state, dict.fromkeys(ranks, pilot), False)
        scores = _aurac_scores(order[:PILOT], ranks, known)
        if why := _unreliable(scores):
            return _whole(leaf, ranks, state, f"of the first {PILOT} documents {why}")
        asked = documents_needed(scores, len(order), float(wanted.precision or 0) / 100)
        if asked == len(order):
            return _whole(leaf, ranks, state, f"{wanted.precision:g} points need all documents")
        state = {**state, "asked": asked}
    return Step(state, dict.fromkeys(ranks, frozenset(order[: state["asked"]])), True)


def _audit_step(
    leaf: Leaf,
    headline: Headline,
    wanted: Wanted,
    ranks: Sequence[int],
    known: Mapping[int, Scores],
    state: Mapping[str, Any],
) -> Step:
    order, share = hash_order(leaf.documents), float(wanted.audit or 0)
    own = [rank for rank in ranks if rank != BASE_RANK]
    anchor = state.get("anchor", own[len(own) // 2])
    state = {**state, "audit": share, "anchor": anchor, "metric": headline.metric, "filter": headline.filter}
    others = [rank for rank in ranks if rank != anchor]
    if why := _too_few(len(order), share) or ("there is no other rank to audit" if len(own) < 2 else None):
        return _whole(leaf, ranks, state, why)
    every = frozenset(order)
    if not _all_know(every, [anchor], known):
        return Step(state, {anchor: every}, True)
    labels = strata([known[anchor][number] for number in order])
    sizes = np.bincount(labels).tolist()
    if "audited" not in state:
        total, floors = round(share * len(order)), [FEWEST] * len(sizes)
        first = allocate(sizes, [1.0] * len(sizes), total // 3, floors)
        if sum(first) > total / 2:
            return _whole(leaf, ranks, state, f"{total} audits are too few for {len(sizes)} strata")
        pilot = chosen(order, labels, first)
        if not _all_know(pilot, others, known):
            return Step(state, {anchor: every} | dict.fromkeys(others, frozenset(pilot)), False)
        rows = [number for number in order if number in pilot]
        of_pilot = np.array([h for number, h in zip(order, labels, strict=True) if number in pilot])
        counts = allocate(sizes, spreads(_aurac_scores(rows, ranks, known), of_pilot, len(sizes)), total, first)
        state = {**state, "sizes": sizes, "audited": counts}
    audited = chosen(order, labels, state["audited"])
    if _all_know(audited, others, known) and (why := _unchanging(audited, ranks, anchor, known)):
        return _whole(leaf, ranks, state, why)
    return Step(state, {anchor: every} | dict.fromkeys(others, frozenset(audited)), True)


def chosen(order: Sequence[int], labels: npt.NDArray[np.intp], counts: Sequence[int]) -> set[int]:
    """Return the first documents of each stratum in the order of the hashes, as many as `counts` says.

    Example:
        >>> sorted(chosen([7, 3, 9, 1], np.array([0, 1, 0, 0]), [2, 1]))
        [3, 7, 9]
    """
    left, found = list(counts), set()
    for number, h in zip(order, labels, strict=True):
        if left[h] > 0:
            left[h] -= 1
            found.add(number)
    return found


def _all_know(documents: Set[int], ranks: Sequence[int], known: Mapping[int, Scores]) -> bool:
    return all(documents <= known.get(rank, {}).keys() for rank in ranks)


def _aurac_scores(
    documents: Sequence[int], ranks: Sequence[int], known: Mapping[int, Scores]
) -> npt.NDArray[np.float64]:
    """Return the AURAC of each document on the log2 axis, shape (n,)."""
    own = sorted(rank for rank in ranks if rank != BASE_RANK)
    matrix = np.array([[known[rank][number] for rank in own] for number in documents])
    return per_document(matrix, weights(own, "log2", "trapezoid"))


def _unreliable(scores: npt.NDArray[np.float64]) -> str | None:
    """Return why the spread of a pilot cannot be relied on."""
    if scores.min() < 0 or scores.max() > 1:
        return "some score outside 0 to 1"
    mean = float(scores.mean())
    if not MIDDLE[0] <= mean <= MIDDLE[1]:
        return f"{100 * mean:.1f} points is the mean: so near an end an interval from their spread covers too rarely"
    differ = len(scores) - int(np.unique(scores.round(12), return_counts=True)[1].max())
    return f"only {differ} differ from the most common score" if differ < FEW else None


def _too_few(n: int, share: float) -> str | None:
    least = 2 * 2 * FEWEST  # two strata, a pilot of at most half of the audits
    return f"{share:g} of {n} documents are fewer than {least} audits" if round(share * n) < least else None


def _unchanging(audited: Collection[int], ranks: Sequence[int], anchor: int, known: Mapping[int, Scores]) -> str | None:
    rows = sorted(audited)
    own = np.array([known[anchor][number] for number in rows])
    changed = int((np.abs(_aurac_scores(rows, ranks, known) - own) > 1e-12).sum())
    if changed >= FEW_CHANGES:
        return None
    return f"only {changed} audited documents score otherwise than at rank {anchor}, so few that their share is unsure"
