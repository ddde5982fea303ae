"""Curves of several runs on the same documents: joined on document and prompt hashes, never by position."""

from __future__ import annotations

from collections.abc import Sequence

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError
from aurac.statistics.refused import check_name


def align(curves: Sequence[RankAccuracyCurve], *, missing: str = "error") -> list[RankAccuracyCurve]:
    """Return the curves on the same ranks and the same documents, in the same order.

    What is known of passages on one curve holds for all, since their documents are the same.

    Args:
        curves: Two or more curves with per-document scores and document keys.
        missing: "error", or "drop" to keep only the documents that all curves have (complete cases).

    Raises:
        ComparisonError: If ranks or metrics differ, or documents are missing, with the number and an example; always if
            no document is common.
    """
    check_name("treatment of missing documents", missing, ("error", "drop"))
    first = curves[0]
    for curve in curves:
        if curve.scores is None or curve.documents is None:
            raise ComparisonError(f"{_name(curve)} has no per-document scores, so no paired comparison is possible.")
        if curve.ranks != first.ranks:
            raise ComparisonError(
                f"{_name(first)} was scored at ranks {_ranks(first)}, {_name(curve)} at {_ranks(curve)}. AURACs on "
                "different rank grids are different metrics; score both at the same ranks."
            )
        if curve.metric != first.metric:
            raise ComparisonError(f"{_name(first)} holds {first.metric}, {_name(curve)} holds {curve.metric}.")
    common = set.intersection(*(set(curve.documents or ()) for curve in curves))
    if not common:
        raise ComparisonError(
            f"{' and '.join(_name(curve) for curve in curves)} have no documents in common"
            f"{_of_task(first)}: their document or prompt hashes differ. Score them with the same task, number of "
            "shots, and limit."
        )
    for curve in curves:
        extra = [key for key in curve.documents or () if key not in common]
        if extra and missing == "error":
            raise ComparisonError(
                f"{len(extra)} of {curve.n_documents} documents of {_name(curve)} are not in every run"
                f"{_of_task(first)} (for example {extra[0]}). Score the same documents, or drop them with "
                "missing='drop'."
            )
    order = [key for key in first.documents or () if key in common]
    aligned = [curve if curve.documents == tuple(order) else curve.select_documents(order) for curve in curves]
    known = next((curve.clusters for curve in aligned if curve.clusters is not None), None)
    return [curve if curve.clusters == known else curve.clustered(known) for curve in aligned]


def _name(curve: RankAccuracyCurve) -> str:
    return repr(curve.name) if curve.name else "a curve"


def _of_task(curve: RankAccuracyCurve) -> str:
    return f" on {curve.task}" if curve.task else ""


def _ranks(curve: RankAccuracyCurve) -> str:
    return "-".join(map(str, curve.ranks))
