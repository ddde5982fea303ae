"""Several methods on several tasks, tasks as blocks: Friedman's test and the critical difference of mean ranks.

Documents are never blocks here: they are not independent of their task. With fewer than 6 tasks the smallest two-sided
Wilcoxon p-value is 0.0625, so pairs cannot be told apart at 5 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurac.errors import CurveError
from aurac.quadrature import Vector
from aurac.statistics.estimate import Estimate, Interval
from aurac.statistics.intervals import t_interval

MIN_TASKS = 5


@dataclass(frozen=True)
class Friedman:
    """Friedman's test with the correction of Iman and Davenport, and Nemenyi's critical difference (Demsar 2006).

    Attributes:
        mean_ranks: Mean place of each method over tasks, 1 is best, shape (methods,).
        chi2: Friedman's statistic.
        p_chi2: Its p-value.
        f: Iman and Davenport's statistic, infinite when all tasks agree.
        p_f: Its p-value.
        critical_difference: q * sqrt(k (k + 1) / (6 T)); mean ranks closer than this are not told apart.
    """

    mean_ranks: Vector
    chi2: float
    p_chi2: float
    f: float
    p_f: float
    critical_difference: float


def friedman(values: npt.ArrayLike, *, alpha: float = 0.05, higher_is_better: bool = True) -> Friedman:
    """Test whether methods differ over tasks, from scores of shape (tasks, methods).

    Raises:
        CurveError: With fewer than 5 tasks or 3 methods.
    """
    from scipy.stats import chi2, f, rankdata, studentized_range

    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] < MIN_TASKS or x.shape[1] < 3:
        raise CurveError(
            f"scores have shape {x.shape}. Give at least {MIN_TASKS} tasks and 3 methods; for fewer use paired tests "
            "on documents."
        )
    tasks, k = x.shape
    ranks = rankdata(-x if higher_is_better else x, axis=1)
    mean_ranks = ranks.mean(axis=0)
    spread = np.square(ranks - (k + 1) / 2).sum() / (tasks * (k - 1))
    statistic = 0.0 if spread == 0 else float(tasks * np.square(mean_ranks - (k + 1) / 2).sum() / spread)
    below = tasks * (k - 1) - statistic
    f_statistic = math.inf if below <= 1e-12 else (tasks - 1) * statistic / below
    q = float(studentized_range.ppf(1 - alpha, k, math.inf)) / math.sqrt(2)
    return Friedman(
        mean_ranks,
        statistic,
        float(chi2.sf(statistic, k - 1)),
        f_statistic,
        float(f.sf(f_statistic, k - 1, (k - 1) * (tasks - 1))),
        q * math.sqrt(k * (k + 1) / (6 * tasks)),
    )


def over_tasks(values: npt.ArrayLike, *, confidence_level: float = 0.95) -> Interval:
    """Return a t interval over task values, shape (T,), for "new tasks of this kind"; T is at least 5.

    Example:
        >>> interval = over_tasks([0.1, 0.2, 0.3, 0.4, 0.5])  # 0.3 +- 2.776 * 0.0707
        >>> round(interval.low, 3), round(interval.high, 3), interval.target
        (0.104, 0.496, 'tasks')
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or len(x) < MIN_TASKS:
        raise CurveError(f"{x.size} task values. Tasks as a sample need at least {MIN_TASKS}; use tasks as strata.")
    estimate = Estimate(float(x.mean()), float(x.std(ddof=1)) / math.sqrt(len(x)), len(x) - 1)
    return t_interval(estimate, confidence_level=confidence_level, target="tasks")
