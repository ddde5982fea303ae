"""A mean over tasks as one curve: which task a document belongs to, and its score as it was measured.

A group that lm-eval averages by task gives every task the same weight. Its curve holds values whose plain mean is that
mean over tasks and whose spread gives its error; who won a document, and how many differ, is seen on the scores
themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurac.errors import CurveError

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Strata:
    """Documents of several tasks that count alike, whatever their sizes.

    Attributes:
        labels: Task of each of n documents.
        values: Scores as measured, shape (n, K).
    """

    labels: tuple[str, ...]
    values: Matrix

    def __post_init__(self) -> None:
        """Check that both are about the same documents."""
        if self.values.ndim != 2 or len(self.labels) != len(self.values):
            raise CurveError(
                f"{len(self.labels)} labels of tasks for scores of shape {self.values.shape}. Give one a document."
            )

    def documents(self, rows: Sequence[int]) -> Strata:
        """Return these documents, by position."""
        return Strata(tuple(self.labels[row] for row in rows), self.values[list(rows)])

    def ranks(self, columns: Sequence[int]) -> Strata:
        """Return these ranks, by position."""
        return Strata(self.labels, self.values[:, list(columns)])

    def linearised(self) -> Matrix:
        """Return values of all documents whose mean is the mean over tasks, shape (n, K).

        For L tasks of n_l documents, N in all, they are M + N / (L n_l) (x - m_l), with m_l the task's mean and M the
        mean of those: std / sqrt(N) is then the standard error with the tasks fixed, sqrt(sum s_l^2 / n_l) / L.

        Example:
            >>> Strata(("a", "a", "b"), np.array([[0.0], [1.0], [1.0]])).linearised().mean().item()  # (1/2 + 1) / 2
            0.75
        """
        return linearised(self.values, self.labels)


def linearised(values: Matrix, labels: Sequence[str]) -> Matrix:
    """Return `Strata.linearised` of any values with documents on the first axis."""
    groups = [np.array([label == name for label in labels]) for name in dict.fromkeys(labels)]
    means = [values[rows].mean(axis=0) for rows in groups]
    overall = np.mean(means, axis=0)
    made = np.empty_like(values)
    for rows, mean in zip(groups, means, strict=True):
        made[rows] = overall + len(values) / (len(groups) * rows.sum()) * (values[rows] - mean)
    return made
