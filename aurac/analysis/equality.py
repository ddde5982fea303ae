"""Whether runs are equal within a margin: "not significantly different" says nothing of the kind."""

from __future__ import annotations

from aurac.analysis.compared import ComparedRuns, EqualWithin
from aurac.statistics.equivalence import Equivalence, t_loss_p
from aurac.statistics.estimate import Estimate
from aurac.statistics.non_inferiority import loss_p
from aurac.statistics.paired import PairedDifference
from aurac.statistics.sample import inputs_of, mean_of


def equivalences(compared: ComparedRuns, margin: float) -> EqualWithin:
    """Test each run against the baseline, on each task and on their mean."""
    found = {
        key: _equivalence(result.difference, margin)
        for key, result in compared.results.items()
        if result.difference is not None and result.difference.p_value is not None
    }
    return EqualWithin(margin, {key: made for key, made in found.items() if made is not None})


def _equivalence(d: PairedDifference, margin: float) -> Equivalence | None:
    """Return the score tests; over seeds, and for unbounded scores, the t tests, of two the weaker one."""
    lower, upper = [], []
    if all(sample.bounded for sample in d.samples):
        inputs = inputs_of(d.samples)
        lower.append(loss_p(inputs.losses(-1), margin, df=inputs.df))
        upper.append(loss_p(inputs.losses(), margin, df=inputs.df))
    if (d.df is not None or not lower) and d.stderr > 0:
        df = mean_of(d.samples).df if d.df is None else d.df
        lower.append(t_loss_p(Estimate(-d.value, d.stderr, df), margin))
        upper.append(t_loss_p(Estimate(d.value, d.stderr, df), margin))
    if not lower:
        return None
    return Equivalence(max(*lower, *upper), max(lower), max(upper), margin, d.value)
