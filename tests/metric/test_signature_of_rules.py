"""Signatures name the inference rules that came later, and comparing rules is no mistake."""

from __future__ import annotations

from aurac import compute
from aurac.curve.curve import RankAccuracyCurve


def test_the_rule_is_named_and_two_rules_may_be_compared() -> None:
    plain = compute(RankAccuracyCurve([1, 2], [0.4, 0.5], task="arc")).signature
    nearest = compute(RankAccuracyCurve([1, 2], [0.4, 0.5], task="arc", inference="projected-gain-2")).signature
    assert "|inference:projected-gain-2|" in str(nearest)
    assert "inference:" not in str(plain)
    assert nearest.differences(plain) == {}


def test_the_rule_stays_with_the_curve() -> None:
    curve = RankAccuracyCurve([1, 2], [0.4, 0.5], inference="matched")
    assert curve.select_ranks([2]).named("x").inference == "matched"


def test_a_window_that_was_asked_for_is_signed_and_makes_scores_incomparable() -> None:
    whole, cut = (
        compute(RankAccuracyCurve([1, 2], [0.25, 0.5], max_length=length)).signature for length in (None, 512)
    )
    assert "max_length" not in str(whole)
    assert "|max_length:512|" in str(cut)
    assert whole.differences(cut) == {"max_length": (None, "512")}
