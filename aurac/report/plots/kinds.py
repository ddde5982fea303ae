"""The kinds of plots by name, each drawn as a whole figure from runs and options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aurac.analysis.compare import compare
from aurac.analysis.compared import ComparedRuns
from aurac.analysis.grouping import by_method, methods_target
from aurac.analysis.joining import common_tasks, distinct
from aurac.analysis.other_axis import OTHER
from aurac.errors import AuracError, ComparisonError
from aurac.registry import Registry
from aurac.report.plots.axes import Plottable, unit_of
from aurac.report.plots.cost_axis import SIZE
from aurac.report.plots.curves import figure_curves
from aurac.report.plots.difference import figure_difference
from aurac.report.plots.intervals import plot_intervals
from aurac.report.plots.pareto import plot_pareto
from aurac.report.plots.places import plot_critical_difference
from aurac.results import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class PlotOptions:
    """What is asked of a plot; None and empty where it is left to the plot.

    Attributes:
        tasks: Which tasks; by default all that every run has.
        axis: What the curves are drawn over.
        confidence_level: Of bands and intervals.
        baseline: Run to subtract.
        bases: Task -> score of the base model, as the axis shows it: points for accuracies.
        reference: Adapters retrained for every rank.
        by: "run", or "method" to draw runs that differ in their training seed alone as one method.
        cost: What the x axis of a Pareto plot shows.
    """

    tasks: Sequence[str] | None = None
    axis: str = "log2"
    confidence_level: float = 0.95
    baseline: str | None = None
    bases: Mapping[str, float] = field(default_factory=dict)
    reference: Plottable | None = None
    by: str = "run"
    cost: str | None = None

    def tasks_of(self, runs: Sequence[Run]) -> tuple[str, ...]:
        """Return the tasks asked for, or all that every run has."""
        return common_tasks(runs, self.tasks)[0]

    @property
    def comparison(self) -> dict[str, Any]:
        """Arguments of `compare`."""
        return {"tasks": self.tasks, "axis": self.axis, "confidence_level": self.confidence_level}


def _curves(given: ComparedRuns | Sequence[Run], options: PlotOptions) -> Figure:
    comparison = given if isinstance(given, ComparedRuns) else _compared(given, options)
    runs = given.runs if isinstance(given, ComparedRuns) else given
    tasks = options.tasks_of(runs)
    if unknown := [task for task in options.bases if task not in tasks]:
        raise AuracError(
            f"a base score was given for {unknown[0]!r}, which is not plotted. Plotted: {', '.join(tasks)}."
        )
    unit = {task: unit_of(runs[0].curve(task)) for task in tasks}
    return figure_curves(
        runs,
        tasks=tasks,
        axis=options.axis,
        confidence_level=options.confidence_level,
        bases={task: shown / unit[task] for task, shown in options.bases.items()},
        reference=options.reference,
        comparison=comparison,
    )


def _compared(runs: Sequence[Run], options: PlotOptions) -> ComparedRuns | None:
    """Return the comparison whose places may be others on the other axis; None where runs cannot be compared."""
    if len(runs) < 2 or options.axis not in OTHER:
        return None
    try:
        return compare(runs, **options.comparison)
    except AuracError:  # curves of other documents or ranks can be drawn all the same
        return None


def _difference(runs: Sequence[Run], options: PlotOptions) -> Figure:
    return figure_difference(
        runs,
        tasks=options.tasks_of(runs),
        baseline=options.baseline,
        axis=options.axis,
        confidence_level=options.confidence_level,
    )


def _intervals(runs: ComparedRuns | Sequence[Run], options: PlotOptions) -> Any:
    return plot_intervals(runs, **options.comparison).get_figure()


def _places(runs: ComparedRuns | Sequence[Run], options: PlotOptions) -> Any:
    return plot_critical_difference(runs, **options.comparison).get_figure()


def _pareto(runs: Sequence[Run], options: PlotOptions) -> Any:
    return plot_pareto(runs, tasks=options.tasks_of(runs), cost=options.cost or SIZE).get_figure()


@dataclass(frozen=True)
class Kind:
    """One kind of plot: what it shows in a few words, how it is drawn, and the options that only some kinds have.

    `compares` says whether it compares the runs itself, `least` how many it needs.
    """

    summary: str
    figure: Callable[[Any, PlotOptions], Figure]
    takes: tuple[str, ...] = ()
    compares: bool = False
    least: int = 1


CURVES = Kind(
    "rank-accuracy curves with bands that hold the whole curve", _curves, ("bases", "reference"), compares=True
)
DIFFERENCE = Kind("each run minus a baseline at every rank, with bands", _difference, ("baseline",), least=2)
INTERVALS = Kind("AURAC with its interval on every task and on their mean", _intervals, compares=True)
PLACES = Kind(
    "critical-difference diagram, bars join runs that the tests cannot tell apart", _places, compares=True, least=2
)
PARETO = Kind("score against the adapter's size or time, with the Pareto front", _pareto, ("cost",))


def _must_be_kind(_: str, value: Any) -> str | None:
    return None if isinstance(value, Kind) else "a Kind"


KINDS = Registry(
    "kind of plot",
    {
        "curves": "aurac.report.plots.kinds:CURVES",
        "difference": "aurac.report.plots.kinds:DIFFERENCE",
        "intervals": "aurac.report.plots.kinds:INTERVALS",
        "places": "aurac.report.plots.kinds:PLACES",
        "pareto": "aurac.report.plots.kinds:PARETO",
    },
    group="aurac.plots",
    check=_must_be_kind,
)
"""Name -> kind of plot."""
_FLAGS = {"baseline": "--baseline", "bases": "--base", "reference": "--reference", "cost": "--cost"}


def check_enough(kind: str, n_given: int) -> None:
    """Raise `ComparisonError` if a kind of plot needs more runs or methods than were given."""
    if n_given < (least := KINDS[kind].least):
        raise ComparisonError(
            f"a plot of kind {kind} needs at least {least} runs or methods, and {n_given} was given. Give another one."
        )


def draw(kind: str, runs: Sequence[Run] | Mapping[str, Sequence[Run]], options: PlotOptions) -> Figure:
    """Draw one kind of plot of runs, or of methods: a mapping of name to the runs of a method's training seeds.

    Raises:
        UnknownNameError: If `kind` is not in `KINDS`.
        AuracError: If an option is given that the kind has no use for; whatever the kind itself raises.
    """
    chosen: Kind = KINDS[kind]
    for name, flag in _FLAGS.items():
        if getattr(options, name) and name not in chosen.takes:
            users = " and ".join(other for other, each in KINDS.usable().items() if name in each.takes)
            raise AuracError(f"{flag} is for {users}, not for {kind}. Leave it out.")
    if options.by == "run" and not isinstance(runs, Mapping):
        return chosen.figure(distinct(runs), options)
    members = runs if isinstance(runs, Mapping) else by_method(distinct(runs))
    comparison = compare(members, target=methods_target(members), **options.comparison)
    return chosen.figure(comparison if chosen.compares else comparison.runs, options)
