"""Which documents come first where not all are asked, and which tasks can be asked in part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aurac.errors import TaskError
from aurac.harness.protocols import TaskRequest
from aurac.harness.suite import Document, Leaf, Suite

_MEANS = ("mean", "nanmean")


@dataclass(frozen=True)
class Wanted:
    """How many documents are wanted.

    Attributes:
        precision: Half-width of the 95 % interval of a task's AURAC over the whole benchmark, in points; None for an
            audit.
        audit: Share of the documents that are asked at the other ranks than the anchor; None for a precision.
    """

    precision: float | None = None
    audit: float | None = None

    @property
    def option(self) -> str:
        """The option that asked for it, for messages."""
        return "--precision" if self.audit is None else "--audit"


@dataclass(frozen=True)
class Headline:
    """The curve that decides how many documents are asked: metric and filter of a task."""

    metric: str
    filter: str


def hash_order(documents: Sequence[Document]) -> list[int]:
    """Return lm-eval's numbers of the documents in the order of their hashes, which no run or machine changes.

    A hash of the text is as good as a random number: the first n are a random part, and the same one for every rank,
    method and seed, so that runs can be compared document by document.
    """
    return [document.doc_id for document in sorted(documents, key=lambda d: (d.doc_hash, d.doc_id))]


def headlines(suite: Suite, wanted: Wanted) -> dict[str, Headline]:
    """Return the headline of each task, or raise `TaskError` for a task that cannot be asked in part."""
    return {request.task: _headline(request, suite, wanted) for request in suite.requests}


def _headline(request: TaskRequest, suite: Suite, wanted: Wanted) -> Headline:
    if request.task in suite.groups:
        members = ", ".join(suite.groups[request.task]["members"][:3])
        raise _refused(
            request,
            wanted,
            "it is a group, whose score is a mean over tasks, and documents are counted for one task. Name its tasks "
            f"({members} ...)",
        )
    leaf = suite.leaves[request.task]
    if request.metric is None:
        raise _refused(request, wanted, "its metrics are known only after it was measured")
    about = leaf.metrics[request.metric]
    if about["aggregation"] not in _MEANS:
        raise _refused(
            request, wanted, f"{request.metric} is no mean over documents (aggregation {about['aggregation']})"
        )
    if not about["higher_is_better"]:
        raise _refused(request, wanted, f"{request.metric} is no accuracy: less is better")
    if (shared := leaf.to_record().get("clusters")) is not None:
        raise _refused(
            request,
            wanted,
            f"its documents share passages ({shared['field']}), and a random part of the documents is not one of the "
            "passages; --cluster none takes documents as independent",
        )
    return Headline(request.metric, request.filter or leaf.task._filters[0].name)


def _refused(request: TaskRequest, wanted: Wanted, why: str) -> TaskError:
    return TaskError(
        f"{wanted.option} does not hold for task {request.name!r}: {why}. Score this task without {wanted.option}, "
        "into another --out."
    )


def is_short(leaf: Leaf, fewest: int) -> str | None:
    """Return why a task is scored whole: it has no more documents than are needed to begin with."""
    n = len(leaf.documents)
    return f"it has {n} documents, and {fewest} are needed to begin with" if n <= fewest else None
