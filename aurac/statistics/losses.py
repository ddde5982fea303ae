"""How much a rank loses to full rank over the trainings of a method: paired over documents and over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aurac.curve.curve import RankAccuracyCurve
from aurac.statistics.clusters import linearised
from aurac.statistics.estimate import Estimate
from aurac.statistics.over_seeds import effective_df
from aurac.statistics.seeds import method_estimate


def over_seeds(curves: Sequence[RankAccuracyCurve]) -> bool:
    """Return whether the curves are those of a method with several seeds."""
    return all(curve.seeds is not None for curve in curves)


def loss_over_seeds(curves: Sequence[RankAccuracyCurve], rank: int) -> Estimate | None:
    """Return the mean over tasks of full rank minus this rank, with its error over documents and seeds.

    Args:
        curves: One curve a task, from `RankAccuracyCurve.from_seeds`, all of the same trainings.
        rank: A measured rank.

    Returns:
        The estimate, positive where the rank is worse; None for curves of a single training.
    """
    if not over_seeds(curves):
        return None
    losses = [_losses(curve, rank) for curve in curves]
    made = method_estimate(losses, np.ones(1))
    return Estimate(made.value, made.stderr if made.stderr > 1e-12 else 0.0, effective_df(made, losses[0].shape[1]))


def _losses(curve: RankAccuracyCurve, rank: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return losses of shape (documents or clusters, seeds, 1)."""
    assert curve.seeds is not None
    y = curve.seeds.values
    here = curve.ranks.index(rank)
    lost = (y[:, :, -1:] - y[:, :, here : here + 1]) * (1.0 if curve.higher_is_better else -1.0)
    return lost if curve.clusters is None else linearised(lost, curve.clusters)
