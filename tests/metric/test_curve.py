from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError, UnknownNameError


def test_unsorted_ranks_are_sorted_with_accuracies_scores_and_nothing_else() -> None:
    scores = np.array([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    curve = RankAccuracyCurve([8, 1, 2], scores=scores, documents=["x", "y"])
    assert curve.ranks == (1, 2, 8)
    assert curve.accuracies.tolist() == [0.0, 0.5, 1.0]
    assert curve.scores is not None
    assert curve.scores.tolist() == [[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]]
    assert curve.documents == ("x", "y")


def test_percent_is_read_only_when_said() -> None:
    assert RankAccuracyCurve([1, 2], [40, 50], scale="percent").accuracies.tolist() == [0.4, 0.5]
    with pytest.raises(CurveError, match=r"accuracy at rank 1 is 40, above 1. For percentages say scale='percent'"):
        RankAccuracyCurve([1, 2], [40, 50])


def test_duplicate_ranks_are_averaged_only_when_said() -> None:
    with pytest.raises(CurveError, match=r"rank 2 occurs 2 times. .* duplicates='mean'"):
        RankAccuracyCurve([1, 2, 2], [0.1, 0.2, 0.4])
    curve = RankAccuracyCurve([2, 1, 2], [0.2, 0.1, 0.4], duplicates="mean")
    assert curve.ranks == (1, 2)
    np.testing.assert_allclose(curve.accuracies, [0.1, 0.3])
    with_scores = RankAccuracyCurve([2, 1, 2], scores=[[1, 0, 0], [1, 1, 1]], duplicates="mean")
    assert with_scores.accuracies.tolist() == [0.5, 0.75]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [0.1, 0.2]), "rank 0 is not positive; ranks count from 1. Leave it out; in Python base= takes"),
        (([1, 2], [0.1, float("nan")]), "accuracy at rank 2 is nan, not a number"),
        (([1, 2], [0.1, None]), "accuracy at rank 2 is nan, not a number"),
        (([1, 2], [0.1, float("inf")]), "accuracy at rank 2 is inf, not a number"),
        (([1, 2], [0.1]), "2 ranks but 1 accuracies"),
        (
            ([1, 2], [0.1, -0.2]),
            "accuracy at rank 2 is -0.2, below 0. An accuracy lies between 0 and 1; curves of other metrics",
        ),
        (([1, 2], ["a", "b"]), "accuracies must be numbers"),
        ((["a"], [0.1]), "ranks must be positive whole numbers"),
        (([], []), "there are no ranks. Give at least one"),
        (([1.5], [0.1]), "rank 1.5 is not a whole number"),
        (([1, 2],), "needs accuracies or per-document scores"),
    ],
)
def test_each_bad_curve_has_its_own_message(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(CurveError, match=message):
        RankAccuracyCurve(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scores": [[1.0]]}, r"scores have shape \(1, 1\), but 2 ranks need \(documents, 2\)"),
        ({"scores": [[1.0, float("nan")]]}, r"score in row 0 at rank 2 is nan, not a number \(1 such cells\)"),
        ({"scores": [[1.0, 0.0]], "accuracies": [1.0, 0.5]}, "not the means of the scores"),
        ({"scores": [[1.0, 0.0]], "documents": ["a", "b"]}, "2 document keys but 1 rows of scores"),
        ({"scores": [[1.0, 0.0]] * 2, "documents": ["a", "a"]}, "document key 'a' occurs twice"),
        ({"scores": [[2.0, 0.0], [0.0, 1.0]]}, "a document's score is outside 0..1"),
    ],
)
def test_bad_documents_say_what_is_wrong(options: dict[str, Any], message: str) -> None:
    with pytest.raises(CurveError, match=message):
        RankAccuracyCurve([1, 2], **options)


def test_names_of_options_have_near_names() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown scale 'per-cent'. Did you mean 'percent'"):
        RankAccuracyCurve([1], [0.5], scale="per-cent")
    with pytest.raises(UnknownNameError, match="Known: error, mean"):
        RankAccuracyCurve([1], [0.5], duplicates="first")


def test_unbounded_metrics_may_be_any_number() -> None:
    curve = RankAccuracyCurve([1, 2], [3.5, -2.0], bounded=False, higher_is_better=False)
    assert curve.area() == 0.75


def test_a_curve_cannot_be_changed() -> None:
    source = np.array([0.1, 0.2])
    curve = RankAccuracyCurve([1, 2], source)
    source[0] = 0.9
    assert curve.accuracy_at(1) == 0.1
    with pytest.raises(ValueError, match="read-only"):
        curve.accuracies[0] = 0.5


def test_constant_curve_has_its_own_height_as_area() -> None:
    curve = RankAccuracyCurve([1, 3, 7], [0.5, 0.5, 0.5])
    assert curve.area() == pytest.approx(0.5)
    assert curve.area("left", axis="linear") == pytest.approx(0.5)


def test_only_measured_ranks_have_an_accuracy() -> None:
    curve = RankAccuracyCurve([1, 4], [0.25, 0.5])
    with pytest.raises(CurveError, match=r"rank 2 was not measured. Measured: 1, 4"):
        curve.accuracy_at(2)


def test_a_selection_keeps_documents_and_labels() -> None:
    curve = RankAccuracyCurve.from_scores(
        [1, 2, 4], [[0, 1, 1], [1, 1, 0]], documents=["a", "b"], task="t", higher_is_better=False, name="run"
    )
    part = curve.select_ranks([4, 1]).select_documents(["b"]).named("other")
    assert (part.ranks, part.accuracies.tolist(), part.documents) == ((1, 4), [1.0, 0.0], ("b",))
    assert (part.task, part.higher_is_better, part.name) == ("t", False, "other")
    with pytest.raises(CurveError, match=r"document 'z' is not on this curve \(1 such keys\)"):
        curve.select_documents(["z"])
    with pytest.raises(CurveError, match="no per-document scores"):
        RankAccuracyCurve([1], [0.5]).select_documents(["a"])


def test_a_curve_prints_its_points() -> None:
    assert repr(RankAccuracyCurve([2, 1], [0.5, 0.25])) == "RankAccuracyCurve({1: 0.25, 2: 0.5})"
