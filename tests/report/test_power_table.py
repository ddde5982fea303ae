"""`power`: what a study can show, as a table."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from aurac.analysis.power import TYPICAL, Question, Spread, observed_spreads
from aurac.errors import ComparisonError, CurveError, UnknownNameError
from aurac.quadrature import weights
from aurac.report.formats import FORMATS
from aurac.report.power import Power, power
from aurac.results import Run
from golden_files import assert_golden
from runs_by_hand import curve

Make = Callable[..., Run]


def test_the_minimal_effect_is_that_of_the_noncentral_t() -> None:
    (plan,) = power(Question(), [Spread("", 0.3)], documents=[1172]).plans
    assert plan.minimal is not None
    shift, critical = plan.minimal / (0.3 / math.sqrt(1172)), stats.t.ppf(0.975, 1171)
    assert stats.nct.sf(critical, 1171, shift) == pytest.approx(0.8, rel=1e-4)  # averaged over 4096 draws
    assert (plan.power, plan.needed) == (None, None)


def test_the_documents_needed_have_the_power_asked_for() -> None:
    question = Question(effect=0.01, power=0.9)
    (plan,) = power(question, [Spread("", 0.3)], documents=None).plans
    assert plan.needed is not None
    (there,) = power(question, [Spread("", 0.3)], documents=[plan.needed]).plans
    assert there.power == pytest.approx(0.9, rel=1e-4)  # one document more or less


def test_two_runs_show_their_spread_on_every_common_task(make_run: Make) -> None:
    a = make_run("a", curve("arc", 1), curve("hella", 2), curve("own", 5))
    b = make_run("b", curve("arc", 3), curve("hella", 4))
    spreads = observed_spreads(a, b)
    d = (a.curve("arc").scores - b.curve("arc").scores) @ weights((1, 2, 4, 8))
    assert [spread.name for spread in spreads] == ["arc", "hella"]
    assert spreads[0].sd == pytest.approx(np.std(d, ddof=1))
    assert spreads[0].n_documents == 40


def test_an_effect_below_the_seed_floor_has_no_number_of_documents() -> None:
    made = power(Question(effect=0.005, n_seeds=3, seed_sd=0.008), TYPICAL[:1], documents=[1000])
    assert made.plans[0].needed is None
    text = made.render("markdown")
    assert "No number of documents shows 0.50 points with 3 seeds" in text
    # 4.3 standard errors of two means over 3 seeds, 0.8 * sqrt(2 / 3): with so few their error is hardly known.
    assert "no number of documents shows less than 2.81 points" in text


@pytest.fixture(scope="module")
def typical() -> Power:
    return power(Question(effect=0.01), TYPICAL, documents=[1172, 10042])


@pytest.mark.parametrize("output", FORMATS)
def test_a_plan_looks_like_its_golden_file(output: str, typical: Power) -> None:
    assert_golden(f"power.{output}.txt", typical.render(output))


def test_identical_runs_need_two_documents_and_no_cell_is_nan(make_run: Make) -> None:
    same = curve("arc", 1)
    made = power(Question(effect=0.01), observed_spreads(make_run("a", same), make_run("b", same)))
    assert (made.plans[0].minimal, made.plans[0].needed) == (0.0, 2)
    assert "nan" not in made.render("terminal").lower()
    assert json.loads(made.render("json"))["plans"][0]["minimal"] == 0.0


def test_questions_without_an_answer_are_refused(make_run: Make) -> None:
    with pytest.raises(CurveError, match=r"nothing to plan. Give a number of documents, an effect, or two runs"):
        power(Question(), TYPICAL)
    with pytest.raises(CurveError, match=r"effect -0.01 is not positive"):
        power(Question(effect=-0.01), TYPICAL)
    with pytest.raises(CurveError, match=r"'a' and 'b' have no task in common"):
        observed_spreads(make_run("a", curve("arc", 1)), make_run("b", curve("hella", 1)))
    with pytest.raises(ComparisonError, match=r"no documents in common"):
        observed_spreads(make_run("a", curve("arc", 1)), make_run("b", curve("arc", 1, documents="x")))
    with pytest.raises(UnknownNameError, match=r"unknown output format 'txt'"):
        power(Question(), TYPICAL, documents=[100]).render("txt")
