"""The public names for type checkers, which cannot see what `__init__.py` imports on first use."""

from aurac.analysis.adequacy import smallest_rank as smallest_rank
from aurac.analysis.compute import compute as compute
from aurac.analysis.score import AuracScore as AuracScore
from aurac.curve.curve import RankAccuracyCurve as RankAccuracyCurve
from aurac.errors import AuracError as AuracError
from aurac.quadrature import weights as weights
from aurac.report.comparison import Comparison as Comparison
from aurac.report.comparison import compare as compare
from aurac.report.plots.curves import plot_curves as plot_curves
from aurac.report.plots.difference import plot_difference as plot_difference
from aurac.report.plots.intervals import plot_intervals as plot_intervals
from aurac.report.plots.pareto import plot_pareto as plot_pareto
from aurac.report.plots.places import plot_critical_difference as plot_critical_difference
from aurac.report.recommendation import recommend as recommend
from aurac.results import Run as Run
from aurac.results import load as load
from aurac.workflows.sweep import score as score

__version__: str
