"""Bayesian bootstrap of a mean difference (Rubin 1981): probabilities of worse, practically equal, and better."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurac.errors import CurveError
from aurac.statistics.resample import default_rng, unique_rows


@dataclass(frozen=True)
class Posterior:
    """Posterior of the mean difference.

    Attributes:
        mean: Posterior mean, the observed mean.
        sd: Posterior standard deviation, sqrt(s^2 / (n + 1)) with s^2 the variance with divisor n.
        p_below: Probability of a difference below -rope.
        p_rope: Probability of a difference within ±rope.
        p_above: Probability of a difference above +rope.
        rope: Half width of the region that is practically 0.
    """

    mean: float
    sd: float
    p_below: float
    p_rope: float
    p_above: float
    rope: float


def bayesian_bootstrap(
    differences: npt.ArrayLike, *, rope: float = 0.0, n_resamples: int = 9999, rng: np.random.Generator | None = None
) -> Posterior:
    """Return the posterior of the mean of per-document differences, shape (n,).

    Weights of documents are Dirichlet(1, ..., 1); documents with equal differences are drawn together.

    Example:
        >>> posterior = bayesian_bootstrap([1.0, -1.0, 1.0, -1.0])
        >>> posterior.mean, posterior.sd  # sqrt(1 / 5)
        (0.0, 0.4472135954999579)
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 1 or d.size == 0 or not rope >= 0:
        raise CurveError(f"differences of shape {d.shape} and rope {rope:g}. Give (n,) differences and rope >= 0.")
    rows, counts = unique_rows(d[:, None])
    means = default_rng(rng).dirichlet(counts, size=n_resamples) @ rows[:, 0]
    below, above = float((means < -rope).mean()), float((means > rope).mean())
    return Posterior(float(d.mean()), math.sqrt(d.var() / (len(d) + 1)), below, 1 - below - above, above, rope)
