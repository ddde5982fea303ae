"""Curve and AURAC of every task to an experiment tracker, as `aurac train --report-to` sends losses.

A step of the tracker is a rank. Values are in the unit of the record: fractions for accuracies.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from aurac.errors import OptionError
from aurac.registry import Registry
from aurac.results import Run

Curves = dict[int, dict[str, float]]
"""Rank -> name of a value -> value."""
Summary = dict[str, float]

TRACKERS = Registry(
    "tracker",
    {name: f"aurac.workflows.trackers:_{name}" for name in ("tensorboard", "trackio", "wandb")},
    group="aurac.trackers",
)
"""Name -> function (run, curves, summary) that sends them; its library has the same name."""


def check_trackers(names: Iterable[str]) -> None:
    """Check that there are such trackers here, before a sweep that may take hours.

    Raises:
        UnknownNameError: For a name that is none.
        OptionError: For a tracker that is not installed.
    """
    for name in names:
        TRACKERS[name]
        if TRACKERS.package(name) is None and find_spec(name) is None:
            raise OptionError(
                f"the tracker {name} is not installed. Install it (pip install {name}), or leave out --report-to: the "
                "record holds everything in any case"
            )


def report(run: Run, names: Iterable[str]) -> None:
    """Send a run to trackers; one that fails is a warning, since the record is complete without it."""
    for name in names:
        try:
            with redirect_stdout(sys.stderr):  # what trackers print is no result
                TRACKERS[name](run, curves_of(run), summary_of(run))
        except Exception as error:  # a network, an account, a full disk
            warnings.warn(
                f"the tracker {name} did not take the scores ({type(error).__name__}: {error}). They are in the "
                "record; the same command sends them again and measures nothing.",
                stacklevel=2,
            )


def curves_of(run: Run) -> Curves:
    """Return rank, or number of parameters -> "task/metric" -> score."""
    found: Curves = {}
    for task, curve in run.curves.items():
        for rank, value in zip(curve.ranks, curve.accuracies.tolist(), strict=True):
            found.setdefault(rank, {})[f"{task}/{curve.metric or 'score'}"] = value
    return dict(sorted(found.items()))


def summary_of(run: Run) -> Summary:
    """Return "task/AURAC" and its standard error where documents are known; tasks of one rank have none."""
    from aurac.analysis.compute import compute

    found: Summary = {}
    for task, curve in run.curves.items():
        if len(curve.ranks) < 2:
            continue
        score = compute(curve)
        found[f"{task}/AURAC"] = score.value
        if score.stderr is not None:
            found[f"{task}/AURAC_stderr"] = score.stderr
    return found


def _project() -> str:
    return os.environ.get("AURAC_PROJECT", "aurac")


def _over(run: Run) -> str:
    """Return what the curves are over: "rank", or "parameters" where budgets were scored."""
    return str(run.record.get("identity", {}).get("adapter", {}).get("unit", "rank"))


def _config(run: Run) -> dict[str, Any]:
    return dict(run.record.get("identity", {}))


def _tensorboard(run: Run, curves: Curves, summary: Summary) -> None:
    """Write event files into the record's folder, under `tensorboard`."""
    from torch.utils.tensorboard import SummaryWriter

    assert run.path is not None
    with SummaryWriter(str(run.path / "tensorboard")) as writer:
        for rank, values in curves.items():
            for name, value in values.items():
                writer.add_scalar(name, value, rank)
        for name, value in summary.items():
            writer.add_scalar(name, value, max(curves))


def _trackio(run: Run, curves: Curves, summary: Summary) -> None:
    trackio = import_module("trackio")
    trackio.init(project=_project(), name=run.name, config=_config(run))
    for rank, values in curves.items():
        trackio.log({_over(run): rank, **values, **(summary if rank == max(curves) else {})}, step=rank)
    trackio.finish()


def _wandb(run: Run, curves: Curves, summary: Summary) -> None:
    wandb = import_module("wandb")
    with wandb.init(project=_project(), name=run.name, config=_config(run)) as session:
        for name in next(iter(curves.values()), {}):
            session.define_metric(name, step_metric=_over(run))
        for rank, values in curves.items():
            session.log({_over(run): rank, **values})
        session.summary.update(summary)
