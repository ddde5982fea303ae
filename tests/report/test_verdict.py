"""The sentence that a comparison begins with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import aurac
from aurac.curve.curve import RankAccuracyCurve
from aurac.report.tables.verdict import verdict
from aurac.results import Run
from runs_by_hand import curve

Make = Callable[..., Run]
RECORDS = Path(__file__).parents[2] / "results/testbed"


def test_one_run_leads_where_it_is_better_than_each_other(make_run: Make) -> None:
    runs = [make_run(name, curve("arc", 1, 400, shift=shift)) for name, shift in (("a", 0.3), ("b", 0.0), ("c", -0.2))]
    text = verdict(aurac.compare(runs))
    assert text.startswith("a leads on arc: AURAC ")
    assert text.endswith("points ahead of b, and better than each of the others at the 5 % level.")


def test_a_leader_that_is_not_shown_to_beat_each_other_run_is_not_said_to(make_run: Make) -> None:
    runs = [make_run(name, curve("arc", 1, 400, shift=shift)) for name, shift in (("a", 0.3), ("b", 0.0), ("c", -0.2))]
    made = aurac.compare(runs)
    pairs = made.pairs["arc"]
    unsure = {pair: 0.5 if set(pair) == {"a", "c"} else p for pair, p in pairs.p_adjusted.items()}
    text = verdict(replace(made, pairs={"arc": replace(pairs, p_adjusted=unsure)}))
    assert text.startswith("a leads on arc")
    assert text.endswith("and the only run that none is shown to be better than at the 5 % level.")


def test_a_leader_on_the_other_axis_is_named() -> None:
    runs = [aurac.load(RECORDS / name) for name in ("dylora", "svd-lora")]
    assert verdict(aurac.compare(runs)).endswith(
        "at the 5 % level. Where every rank counts the same (the linear axis), svd-lora has the best AURAC."
    )


def test_runs_that_the_documents_do_not_tell_apart_share_the_first_place(make_run: Make) -> None:
    runs = [
        make_run(name, curve("arc", seed, 400, shift=s))
        for name, seed, s in (("a", 1, 0.3), ("b", 2, 0.3), ("c", 3, -0.2))
    ]
    assert "a and b share the first place on arc: " in verdict(aurac.compare(runs)).replace("b and a", "a and b")


def test_no_winner_is_named_where_no_run_is_shown_to_be_better(make_run: Make) -> None:
    runs = [make_run(name, curve("arc", seed)) for name, seed in (("a", 1), ("b", 2))]
    assert verdict(aurac.compare(runs)).startswith(
        "No run is shown to be better than another on arc at the 5 % level; "
    )


def test_the_mean_over_tasks_is_called_that(make_run: Make) -> None:
    run = make_run("a", curve("arc", 1), curve("hella", 2))
    assert verdict(aurac.compare([run])).startswith("a has AURAC ")
    assert verdict(aurac.compare([run])).endswith(" on the mean over 2 tasks.")


def test_without_documents_nothing_was_tested(make_run: Make) -> None:
    runs = [make_run(name, RankAccuracyCurve((1, 2), (low, 0.5), task="arc")) for name, low in (("a", 0.1), ("b", 0.2))]
    assert verdict(aurac.compare(runs)).endswith("; whether that is more than chance was not tested.")
