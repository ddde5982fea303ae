"""Power curves of a planned study: how often a true difference is found, or how many documents find it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aurac.analysis.power import Plan, Question, StudyPlan
from aurac.errors import CurveError
from aurac.quadrature import Vector
from aurac.report.plots import style
from aurac.report.plots.axes import new_axes
from aurac.report.plots.looks import standard_look
from aurac.statistics.planning import power_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 41
"""Points of a line."""


def plot_power(made: StudyPlan, *, ax: Axes | None = None) -> Axes:
    """Draw one line a plan: its power against the true difference, and a point at the minimal detectable effect.

    Where the plan has no number of documents, its power for the effect asked for stands against the documents, with a
    point at the number needed.

    Args:
        made: From `aurac.analysis.power.plan_study` or `aurac.report.power.power`.
        ax: Axes to draw into; by default new ones, one paper column wide.

    Raises:
        CurveError: If no number of documents shows the effect, so that there is nothing to draw.
    """
    import matplotlib.pyplot as plt

    draw = _over_documents if made.plans[0].n_documents is None else _over_effects  # all plans have one, or none
    with plt.rc_context(style.RC):
        ax = new_axes(ax, height=2.2 + 0.15 * len(made.plans))
        draw(ax, made)
        ax.axhline(made.question.power, **style.BASE)
        ax.set_ylim(0, 1.02)
        ax.set_ylabel("power")
        title = f"two-sided level {made.question.alpha:g}" + (
            "" if made.question.n_seeds is None else f", {made.question.n_seeds} seeds a method"
        )
        ax.legend(title=title, loc="lower center", bbox_to_anchor=(0.5, 1.0), handlelength=3.5)
    return ax


def save_power(made: StudyPlan, *paths: Path) -> None:
    """Draw `plot_power` once and write it under every path (.png, .pdf, .svg)."""
    style.write(lambda: plot_power(made).get_figure(), *paths)


def _over_effects(ax: Axes, made: StudyPlan) -> None:
    effect = made.question.effect
    widest = max([plan.minimal for plan in made.plans if plan.minimal is not None] + ([effect] if effect else []))
    x = np.linspace(0, 1.6 * widest, _POINTS)[1:]
    for number, plan in enumerate(made.plans):
        assert plan.n_documents is not None
        text = f"{plan.name or 'pair'}, {plan.n_documents:,} documents"
        _line(ax, number, 100 * x, _powers(made.question, plan, x), text)
        if plan.minimal is not None:
            ax.plot(100 * plan.minimal, made.question.power, **_point(number))
    if effect is not None:
        ax.axvline(100 * effect, **style.BASE)
    ax.set_xlabel("true difference (points)")
    ax.set_xlim(0, 160 * widest)


def _over_documents(ax: Axes, made: StudyPlan) -> None:
    found = [(number, plan, plan.needed) for number, plan in enumerate(made.plans) if plan.needed is not None]
    if not found:
        raise CurveError("no number of documents shows this effect, so there is no power curve. Train more seeds.")
    most = max(needed for _, _, needed in found)
    x = np.unique(np.geomspace(10, 3 * most, _POINTS).round())
    for number, plan, needed in found:
        _line(ax, number, x, _powers(made.question, plan, x), plan.name or "pair")
        ax.plot(needed, made.question.power, **_point(number))
    ax.set_xscale("log")
    ax.set_xlabel(f"documents, for a true difference of {100 * (made.question.effect or 0):.2f} points")


def _powers(question: Question, plan: Plan, x: Vector) -> list[float]:
    """Return the power at each x: a true difference, or a number of documents where the plan has none."""
    study: dict[str, Any] = {"alpha": question.alpha, "seed_sd": question.seed_sd, "n_seeds": question.n_seeds}
    if plan.n_documents is None:
        return [power_of(question.effect or 0.0, plan.sd, int(n), **study) for n in x]
    return [power_of(float(effect), plan.sd, plan.n_documents, **study) for effect in x]


def _line(ax: Axes, number: int, x: Vector, y: list[float], text: str) -> None:
    look = standard_look(number)
    ax.plot(x, y, color=look.color, linestyle=look.linestyle, label=style.label(text))


def _point(number: int) -> dict[str, Any]:
    look = standard_look(number)
    return {"color": look.color, "marker": look.marker, "linestyle": "none", "zorder": 4}
