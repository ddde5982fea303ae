"""Sweeps go to experiment trackers, whose libraries are played here by objects that note what they get."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import OptionError, UnknownNameError
from aurac.results import Run
from aurac.workflows import trackers
from aurac.workflows.trackers import TRACKERS, check_trackers, report
from tolerance import near


@pytest.fixture
def run(tmp_path: Path) -> Run:
    # Right answers of two documents at ranks 1, 2 and 4: accuracies 0, 1/2 and 1, so AURAC on log2 is 1/2.
    scores = [[0.0, 0.0, 1.0], [0.0, 1.0, 1.0]]
    curve = RankAccuracyCurve.from_scores((1, 2, 4), scores, documents=["a", "b"], task="arc", metric="acc")
    return Run("mine", tmp_path, {"identity": {"dtype": "float32"}}, {"arc": curve})


CURVES = {1: {"arc/acc": 0.0}, 2: {"arc/acc": 0.5}, 4: {"arc/acc": 1.0}}


def test_wandb_gets_the_curve_over_the_rank_and_aurac_as_summary(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    got: dict[str, Any] = {"log": [], "summary": {}, "axes": {}}

    class Session:
        summary = got["summary"]

        def __enter__(self) -> Session:
            return self

        def __exit__(self, *_: object) -> None:
            got["finished"] = True

        def define_metric(self, name: str, step_metric: str) -> None:
            got["axes"][name] = step_metric

        def log(self, values: dict[str, float]) -> None:
            got["log"].append(values)

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=lambda **kw: got.update(kw) or Session()))  # type: ignore[arg-type]
    report(run, ["wandb"])
    assert got["log"] == [{"rank": rank, **values} for rank, values in CURVES.items()]
    assert (got["project"], got["name"], got["config"], got["finished"]) == (
        "aurac",
        "mine",
        {"dtype": "float32"},
        True,
    )
    assert got["axes"] == {"arc/acc": "rank"}
    # Of the documents: 1/4 and 3/4 (0, 0, 1 and 0, 1, 1 with weights 1/4, 1/2, 1/4), whose mean has the error 1/4.
    assert (got["summary"]["arc/AURAC"], got["summary"]["arc/AURAC_stderr"]) == (near(0.5), near(0.25))


def test_trackio_gets_a_step_a_rank_and_prints_nothing_among_the_results(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps: list[tuple[int, dict[str, float]]] = []
    fake = SimpleNamespace(
        init=lambda **_: print("hello"), log=lambda values, step: steps.append((step, values)), finish=lambda: None
    )
    monkeypatch.setitem(sys.modules, "trackio", fake)  # type: ignore[arg-type]
    monkeypatch.setenv("AURAC_PROJECT", "study")
    report(run, ["trackio"])
    assert [step for step, _ in steps] == [1, 2, 4]
    assert steps[1][1] == {"rank": 2, "arc/acc": 0.5}
    assert steps[2][1]["arc/AURAC"] == near(0.5)
    assert capsys.readouterr() == ("", "hello\n")


def test_a_run_over_budgets_is_sent_over_its_parameters(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`aurac score --budgets 0.25,0.5,1`: what stands for the rank in the curves is a number of parameters."""
    curve = RankAccuracyCurve((2560, 5120, 10240), run.curves["arc"].accuracies, metric="acc")
    budgets = replace(run, record={"identity": {"adapter": {"unit": "parameters"}}}, curves={"arc": curve})
    sent: list[tuple[int, dict[str, float]]] = []
    fake = SimpleNamespace(init=lambda **_: None, log=lambda values, step: sent.append((step, values)), finish=dict)
    monkeypatch.setitem(sys.modules, "trackio", fake)  # type: ignore[arg-type]
    report(budgets, ["trackio"])
    assert sent[1] == (5120, {"parameters": 5120, "arc/acc": 0.5})
    assert sent[2][1]["arc/AURAC"] == near(0.5)  # every doubling counts the same: (0 / 2 + 0.5 + 1 / 2) / 2
    session = MagicMock()
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=lambda **_: session))  # type: ignore[arg-type]
    report(budgets, ["wandb"])
    inside = session.__enter__.return_value
    inside.define_metric.assert_called_once_with("arc/acc", step_metric="parameters")
    inside.log.assert_any_call({"parameters": 2560, "arc/acc": 0.0})


def test_tensorboard_writes_beside_the_record(run: Run) -> None:
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    report(run, ["tensorboard"])
    assert run.path is not None
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("arc/acc")] == [(1, 0.0), (2, 0.5), (4, 1.0)]
    assert [(e.step, e.value) for e in events.Scalars("arc/AURAC")] == [(4, 0.5)]


def test_a_tracker_that_fails_is_a_warning_and_the_next_one_gets_the_scores(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(**_: object) -> None:
        raise ConnectionError("no network")

    steps: list[int] = []
    works = SimpleNamespace(init=lambda **_: None, log=lambda _, step: steps.append(step), finish=lambda: None)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=offline))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "trackio", works)  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match=r"wandb did not take the scores \(ConnectionError: no network\)"):
        report(run, ["wandb", "trackio"])
    assert steps == [1, 2, 4]


def test_trackers_are_checked_before_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown tracker 'wandbb'\. Did you mean 'wandb'"):
        check_trackers(["wandbb"])
    monkeypatch.setattr(trackers, "find_spec", lambda _: None)
    for name in TRACKERS:
        with pytest.raises(OptionError, match=rf"the tracker {name} is not installed\. Install it"):
            check_trackers([name])
