"""How much a rank loses to full rank over trainings or draws of examples: paired over documents, seeds and draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aurac.curve.curve import RankAccuracyCurve
from aurac.statistics.clusters import linearised
from aurac.statistics.estimate import Estimate
from aurac.statistics.factors import drawn, factors, widest_target
from aurac.statistics.over_seeds import effective_df
from aurac.statistics.seeds import crossed, method_estimate


def loss_over_seeds(curves: Sequence[RankAccuracyCurve], rank: int) -> Estimate | None:
    """Return the mean over tasks of full rank minus this rank, with its error over documents and what else was drawn.

    Args:
        curves: One curve a task, all of the same trainings and draws of examples.
        rank: A measured rank.

    Returns:
        The estimate, positive where the rank is worse; None for curves of a single training and draw.
    """
    target = widest_target(curves)
    if target == "docs":
        return None
    estimates = [
        method_estimate([_losses(curve, rank, factor) for curve in curves], np.ones(1), target=target, factor=factor)
        for factor in factors(target)
    ]
    made = crossed(estimates, target)
    return Estimate(made.value, made.stderr if made.stderr > 1e-12 else 0.0, effective_df(made))


def _losses(curve: RankAccuracyCurve, rank: int, factor: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return losses of shape (documents or clusters, seeds or draws, 1)."""
    y = drawn(curve, factor).values
    here = curve.ranks.index(rank)
    lost = (y[:, :, -1:] - y[:, :, here : here + 1]) * (1.0 if curve.higher_is_better else -1.0)
    return lost if curve.clusters is None else linearised(lost, curve.clusters)
