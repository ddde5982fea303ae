"""The plan of a comparison as a table: minimal detectable effect, power, documents."""

from __future__ import annotations

from aurac.analysis.power import StudyPlan
from aurac.report.numbers import MISSING, value_text
from aurac.report.table import Table, TableCell


def power_table(made: StudyPlan) -> Table:
    """Return one row a plan; columns that nobody asked for are left out."""
    q = made.question
    with_n = any(plan.n_documents is not None for plan in made.plans)
    effect = None if q.effect is None else f"{100 * q.effect:.2f} points"
    columns = ["pair", "sd", *(["documents", "MDE"] if with_n else [])]
    columns += [f"power for {effect}"] if effect and with_n else []
    columns += [f"documents for {effect}"] if effect else []
    rows = []
    for plan in made.plans:
        cells = [plan.name or MISSING, f"{100 * plan.sd:.1f}"]
        if with_n:
            cells += [f"{plan.n_documents:,}" if plan.n_documents else MISSING, value_text(plan.minimal)]
        if effect and with_n:
            cells.append(MISSING if plan.power is None else f"{plan.power:.0%}")
        if effect:
            cells.append(MISSING if plan.needed is None else f"{plan.needed:,}")
        rows.append(tuple(map(TableCell, cells)))
    return Table("What a comparison can show, in points", tuple(columns), tuple(rows), power_notes(made))


def power_notes(made: StudyPlan) -> tuple[str, ...]:
    """Say what the columns mean and what the plan is about, and what is known about the spreads."""
    q = made.question
    said = [
        "sd: standard deviation over documents of the difference between two AURACs. MDE: smallest true difference "
        f"that a two-sided paired test at level {q.alpha:g} finds with a probability of {q.power:.0%}."
    ]
    if made.floor is not None:
        said.append(
            f"Target: docs+seeds, {q.n_seeds} seeds a method, sd between seeds {100 * q.seed_sd:.2f} points. With them "
            f"no number of documents shows less than {100 * made.floor:.2f} points."
        )
    else:
        said.append("Target: docs. Another training seed is not part of it; add --seeds and --seed-sd.")
    return (*said, *made.notes)
