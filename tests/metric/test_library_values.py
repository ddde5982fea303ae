"""Values as libraries have them: numbers of numpy, masked arrays, frames of other libraries, cells that are none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import aurac
from aurac.analysis.sources import as_curve
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import CurveError

LONG = {"rank": [1, 2, 2, 1], "doc_hash": ["a", "a", "b", "b"], "score": [0.0, 1.0, 1.0, 0.5]}
WIDE = {"rank": [2, 1], "accuracy": [0.5, 0.25]}


class ByArrow:
    """A frame of a library that has nothing but Arrow's C interface."""

    def __init__(self, data: dict[str, list[Any]]) -> None:
        self._table = pa.table(data)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class ByInterchange:
    """A frame of a library that has nothing but the dataframe interchange protocol."""

    def __init__(self, data: dict[str, list[Any]]) -> None:
        self._table = pa.table(data)

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> object:
        return self._table.__dataframe__(nan_as_null=nan_as_null, allow_copy=allow_copy)


def polars(data: dict[str, list[Any]]) -> Any:
    return pytest.importorskip("polars").DataFrame(data, strict=False)


FRAMES = [pd.DataFrame, pa.table, ByArrow, ByInterchange, polars]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda made: made.__name__)
def test_a_frame_of_any_library_is_read_like_a_pandas_one(frame: Any) -> None:
    assert as_curve(frame(WIDE)).accuracies.tolist() == [0.25, 0.5]
    curve = as_curve(frame(LONG | {"task": ["arc"] * 4}))
    assert (curve.task, curve.documents) == ("arc", ("arc/a", "arc/b"))
    assert curve.scores is not None
    assert curve.scores.tolist() == [[0.0, 1.0], [0.5, 1.0]]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda made: made.__name__)
@pytest.mark.parametrize(
    ("column", "values", "row"),
    [
        ("score", [0.0, None, 1.0, 1.0], 1),
        ("rank", [1, 2, None, 1], 2),
        ("rank", [1.0, 2.0, 2.0, 1.5], 3),
        ("score", [0.0, 1.0, float("nan"), float("inf")], 2),
        ("doc_hash", ["a", "a", "b", None], 3),
    ],
)
def test_a_cell_that_is_no_number_is_named_by_row_and_column(frame: Any, column: str, values: Any, row: int) -> None:
    with pytest.raises(CurveError, match=rf"row {row} of the DataFrame, column {column}: "):
        as_curve(frame(LONG | {column: values}))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("score", "False", r"row 3 of the DataFrame, column score: 'False' is no number"),
        ("score", "", r"row 3 of the DataFrame, column score: '' is no number"),
        ("score", pd.NA, r"row 3 of the DataFrame, column score: <NA> is no number"),
        ("score", [1.0], r"row 3 of the DataFrame, column score: \[1.0\] is no number"),
        ("rank", "one", r"row 3 of the DataFrame, column rank: 'one' is no rank, a whole number from 1"),
        ("rank", True, r"row 3 of the DataFrame, column rank: True is no rank"),
        ("rank", 0, r"row 3 of the DataFrame, column rank: 0 is no rank"),
        ("rank", -1, r"row 3 of the DataFrame, column rank: -1 is no rank"),
    ],
)
def test_objects_that_are_no_numbers_are_named_too(column: str, value: Any, message: str) -> None:
    frame = pd.DataFrame(LONG).astype({column: object})
    frame.at[3, column] = value
    with pytest.raises(CurveError, match=message):
        as_curve(frame)


def test_the_row_is_called_by_its_label() -> None:
    frame = pd.DataFrame({"rank": [1, 2], "accuracy": [0.5, None]}, index=["first", "second"])
    with pytest.raises(CurveError, match="row second of the DataFrame, column accuracy: nan is no number"):
        as_curve(frame)


def test_numbers_as_text_and_right_or_wrong_as_true_or_false_are_read() -> None:
    assert as_curve(pd.DataFrame({"rank": ["2", "1"], "accuracy": ["0.5", "0.25"]})).ranks == (1, 2)
    curve = as_curve(pd.DataFrame(LONG | {"score": [False, True, True, True]}))
    assert curve.accuracies.tolist() == [0.5, 1.0]


def test_a_plan_of_a_frame_is_to_be_collected() -> None:
    plan = pytest.importorskip("polars").DataFrame(WIDE).lazy()
    with pytest.raises(CurveError, match=r"LazyFrame is a plan of a frame and no frame. Give its result: .collect\(\)"):
        as_curve(plan)


def test_columns_of_other_libraries_are_ranks_and_accuracies() -> None:
    assert as_curve(pa.array([1, 2]), pa.array([0.25, 0.5])).accuracies.tolist() == [0.25, 0.5]
    series = pytest.importorskip("polars").Series
    assert as_curve(series([1, 2]), series([0.25, 0.5])).accuracies.tolist() == [0.25, 0.5]
    with pytest.raises(CurveError, match="cannot read a curve from Series"):
        as_curve(series([1, 2]))


HIDDEN = np.ma.array([0.1, 0.9, 0.3], mask=[False, True, False])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: as_curve([1, 2, 4], HIDDEN),
            r"1 of the accuracies is masked, at position 1. Leave it out, or fill it in",
        ),
        (
            lambda: as_curve(np.ma.array([1, 2], mask=[True, True]), [0.1, 0.2]),
            r"2 of the ranks are masked, the first at ",
        ),
        (lambda: aurac.weights(np.ma.array([1, 2], mask=[False, True])), r"1 of the ranks is masked, at position 1"),
        (
            lambda: RankAccuracyCurve(
                [1, 2], scores=np.ma.array([[0, 1], [1, 1]], mask=[[False, True], [False, False]])
            ),
            r"1 of the scores is masked, at position 0, 1",
        ),
        (
            lambda: aurac.weights([1, 2, 4], rule="prior", prior=np.ma.array([1, 2, 1], mask=[True, False, False])),
            r"1 of the prior is masked, at position 0",
        ),
    ],
)
def test_nothing_is_read_behind_a_mask(make: Any, message: str) -> None:
    with pytest.raises(CurveError, match=message):
        make()


def test_a_masked_array_that_hides_nothing_is_an_array() -> None:
    assert as_curve(np.ma.array([1, 2]), np.ma.array([0.25, 0.5])).accuracies.tolist() == [0.25, 0.5]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: as_curve({1: 0.2, 2: True}), r"accuracies must be numbers, and true or false is none"),
        (lambda: as_curve([True, 2], [0.2, 0.3]), r"ranks must be positive whole numbers, and true or false is none"),
        (lambda: as_curve([1.5, 2], [0.2, 0.3]), r"rank 1.5 is not a whole number"),
        (lambda: as_curve(pd.Series([0.2, 0.3], index=[1.5, 2])), r"rank 1.5 is not a whole number"),
        (lambda: as_curve({1: 0.2, 2: None}), r"the accuracy at rank 2 is nan, not a number"),
        (lambda: as_curve({1: 0.2, 2: "False"}), r"accuracies must be numbers, got \[0.2, 'False'\]"),
        (lambda: RankAccuracyCurve([1, 2], scores=[[0, "x"]]), r"scores must be numbers, got"),
    ],
)
def test_values_that_are_no_numbers_are_one_sentence(make: Any, message: str) -> None:
    with pytest.raises(CurveError, match=message):
        make()


def test_ranks_of_numpy_are_ranks() -> None:
    one, two, four = np.int64(1), np.int32(2), np.uint8(4)
    score = aurac.compute({one: 0.2, two: 0.5, four: 0.6}, within=(one, two))
    assert all(type(rank) is int for rank in (*score.curve.ranks, *score.weights))
    assert json.loads(json.dumps(score.to_dict()))["accuracies"] == {"1": 0.2, "2": 0.5, "4": 0.6}
    assert (score.curve.accuracy_at(two), score.curve.select_ranks(np.array([4, 1])).ranks) == (0.5, (1, 4))
    mix = aurac.weights(np.array([1, 2, 4]), rule="prior", prior={one: 1, two: 1, four: 2})
    assert mix.tolist() == [0.25, 0.25, 0.5]


@pytest.mark.parametrize("values", [[0.2, 0.5], [1.0, 0.9], [0.001, 0.0]])
def test_fractions_that_are_said_to_be_percent_are_noticed(values: list[float]) -> None:
    with pytest.warns(UserWarning, match=r"the scale is percent, and no accuracy is above .* If they are fractions"):
        as_curve([1, 2], values, scale="percent")


def test_percent_above_one_and_nothing_but_zeros_are_not_noticed() -> None:
    assert as_curve([1, 2], [0.5, 1.5], scale="percent").accuracies.tolist() == [0.005, 0.015]
    assert as_curve([1, 2], [0, 0], scale="percent").accuracies.tolist() == [0, 0]
