"""Critical-difference diagram: scores on a line, and bars over runs that the tests cannot tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

from aurac.analysis.compare import compare
from aurac.analysis.compared import ComparedRuns
from aurac.errors import ComparisonError
from aurac.report.plots import style
from aurac.report.plots.axes import Plottable, new_axes
from aurac.report.plots.elsewhere import elsewhere
from aurac.report.tables.table_cells import unit
from aurac.statistics.tiers import Tiers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW, _BAR = 0.55, 0.32
_AXIS_INCHES, _LETTER_INCHES = 1.6, 0.055
"""Width of the axis at least, and of a letter of the names beside it; short names leave a column of a paper."""
_WIDTH = 60
"""Characters of the small print in a line."""


def plot_critical_difference(
    runs: ComparedRuns | Sequence[Plottable], *, task: str | None = None, ax: Axes | None = None, **options: Any
) -> Axes:
    """Draw the diagram of Demsar (2006) from the Holm-adjusted paired tests of all pairs.

    The axis shows AURAC itself, better to the right. A bar joins runs of which no pair differs significantly: all that
    stand below it or, where it has dots, those at its dots. The level is printed. Unlike the original there is no
    single critical distance: every pair has its own test on documents.

    Args:
        runs: A comparison, or the runs to compare; at least two.
        task: Which task; by default the mean over tasks, or the only one.
        ax: Axes to draw into; by default new ones, a paper column wide, more for long names, and as high as they need.
        **options: As for `aurac.compare`, when `runs` are runs.

    Raises:
        ComparisonError: If there are no tests, for want of a second run or of per-document scores.
    """
    import matplotlib.pyplot as plt

    comparison = runs if isinstance(runs, ComparedRuns) else compare(runs, **options)  # type: ignore[arg-type]
    task = task or comparison.headline
    tiers = comparison.tiers(task)
    if tiers is None:
        raise ComparisonError(
            f"there are no tests on {task}: a diagram needs two runs with per-document scores on common documents."
        )
    factor = unit(comparison, task)
    values = {name: comparison.pairs[task].values[name] * factor for name in tiers.order}
    worst_first = tiers.order[::-1]
    left = worst_first[: len(worst_first) // 2]
    right = worst_first[len(worst_first) // 2 :][::-1]
    first_row = -_BAR * (len(tiers.cliques) + 1)
    with plt.rc_context(style.RC):
        rows = max(len(left), len(right))
        beside = sum(max(map(len, names), default=0) for names in (left, right)) * _LETTER_INCHES
        width = max(style.COLUMN_INCHES, beside + _AXIS_INCHES)
        ax = new_axes(ax, height=0.6 + 0.2 * (rows + len(tiers.cliques)), width=width)
        low, high = _limits(list(values.values()))
        for names, edge, side in ((left, low, "right"), (right, high, "left")):
            for row, name in enumerate(names):
                _name(ax, style.label(name), values[name], edge, first_row - _ROW * (row + 0.5), side)
        for number, clique in enumerate(tiers.cliques):
            tied, dots = [values[name] for name in clique], _leaves_out(clique, tiers.order)
            _bar(ax, tied, -_BAR * (number + 1), pad=0.008 * (high - low), dots=dots)
        ax.plot(list(values.values()), [0] * len(values), "o", color="black", clip_on=False, zorder=5)
        if not comparison.pairs[task].higher_is_better:
            low, high = high, low
        ax.set_xlim(low, high)
        ax.set_ylim(first_row - _ROW * rows, 0)
        _dress(ax, f"AURAC on {style.label(task)}{' (points)' if factor == 100 else ''}")
        note = _note(comparison, task, tiers)
        below: dict[str, Any] = {
            "xycoords": "axes fraction",
            "textcoords": "offset points",
            "ha": "center",
            "va": "top",
        }
        ax.annotate(note, (0.5, 0), xytext=(0, -4), fontsize=6, **below)
    return ax


def _leaves_out(clique: Sequence[str], order: Sequence[str]) -> bool:
    """Whether a run that stands between those of the group is not one of them."""
    return order.index(clique[-1]) - order.index(clique[0]) >= len(clique)


def _bar(ax: Axes, values: Sequence[float], height: float, *, pad: float, dots: bool) -> None:
    """Join the best and the worst value of a group; with dots on all of its values."""
    ends = [min(values) - pad, max(values) + pad]
    ax.plot(ends, [height] * 2, color="black", linewidth=1 if dots else 2.5, solid_capstyle="butt", label="_tied")
    if dots:
        ax.plot(values, [height] * len(values), "o", color="black", markersize=3, label="_member")


def _note(comparison: ComparedRuns, task: str, tiers: Tiers) -> str:
    """Say what a bar means, or why there is none; folded to the width of a column."""
    level = f"at level {comparison.settings.alpha:g}"
    bars = f"bars: not told apart {level}" if tiers.cliques else f"no bars: every two of them differ {level}"
    if any(_leaves_out(clique, tiers.order) for clique in tiers.cliques):
        bars += "; a bar with dots joins only the runs at its dots"
    return "\n".join(
        fill(line, _WIDTH, break_on_hyphens=False) for line in f"{bars}{elsewhere(comparison, task)}".split("\n")
    )


def _limits(values: list[float]) -> tuple[float, float]:
    """Return ends of the axis that leave room for names on both sides."""
    spread = max(values) - min(values) or max(abs(values[0]), 1.0) * 0.02
    return min(values) - 0.15 * spread, max(values) + 0.15 * spread


def _name(ax: Axes, text: str, x: float, edge: float, y: float, align: str) -> None:
    ax.plot([x, x, edge], [0, y, y], color="#555555", linewidth=0.7, clip_on=False)
    nudge = -3 if align == "right" else 3
    ax.annotate(
        text,
        (edge, y),
        xytext=(nudge, 0),
        textcoords="offset points",
        ha=align,
        va="center",
        fontsize=7,
        annotation_clip=False,
    )


def _dress(ax: Axes, text: str) -> None:
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.spines["top"].set_visible(True)
    for side in ("left", "right", "bottom"):
        ax.spines[side].set_visible(False)
    ax.set_yticks([])
    ax.set_xlabel(text)
