"""Budgets of parameters in the place of ranks: what an adapter is at each, and how a record says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aurac.workflows.options import ScoreOptions

if TYPE_CHECKING:
    from aurac_adapters.folder.budgets import Budget, BudgetPlan
    from aurac_adapters.folder.retrained import RankedFolder


def planned_budgets(adapter: RankedFolder, options: ScoreOptions) -> BudgetPlan | None:
    """Return what the adapter is at the budgets that were asked for; None where ranks are."""
    from aurac_adapters.folder.budgets import plan_budgets

    return None if options.budgets is None else plan_budgets(adapter, options.budgets)


def budget_identity(plan: BudgetPlan | None) -> dict[str, Any]:
    """Return what says that a record is over budgets: nothing for ranks."""
    return {} if plan is None else {"unit": "parameters", "parameters": plan.whole}


def budget_record(budget: Budget) -> dict[str, Any]:
    """Return what a record says of a budget: the parameters in use, and the rank of all layers or of each."""
    ranks = {"rank": budget.rank} if budget.rank is not None else {"ranks": dict(budget.ranks)}
    return {"parameters": budget.used, **ranks}


def open_budgets(lm: Any, adapter: Any, plan: BudgetPlan | None) -> tuple[Any, Any]:
    """Return the model, and its adapter as one that is set by budgets where they were planned."""
    from aurac_adapters.layer.budgeted import BudgetedAdapter

    if plan is None:
        return lm, adapter
    choices = {size: each.ranks if each.rank is None else each.rank for size, each in plan.budgets.items()}
    return lm, BudgetedAdapter(adapter, choices, plan.whole)
