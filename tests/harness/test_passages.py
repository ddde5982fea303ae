"""Which documents share a passage, and what a record and its curve keep of it."""

from __future__ import annotations

import numpy as np
import pytest

from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import ComparisonError, UnknownNameError
from aurac.harness.passages import passages
from aurac.report.comparison import compare
from aurac.report.recommendation import recommend
from aurac.results import Run

DOCUMENTS = {
    3: {"passage": "A", "question": "x"},
    1: {"passage": "B", "question": "y"},
    2: {"passage": "A", "question": "z"},
}


def test_documents_with_the_same_passage_have_the_same_number_in_the_order_of_their_ids() -> None:
    assert passages("boolq", DOCUMENTS) == {"field": "passage", "labels": [0, 1, 1]}


def test_any_field_may_be_asked_for_and_none_of_them() -> None:
    subjects = {i: {"subject": "ab"[i % 2], "question": str(i)} for i in range(4)}
    assert passages("mmlu", subjects) is None
    assert passages("mmlu", subjects, "subject") == {"field": "subject", "labels": [0, 1, 0, 1]}
    assert passages("boolq", DOCUMENTS, "none") is None
    with pytest.raises(UnknownNameError, match=r"unknown field of the documents 'passages' of 'boolq'. Did you mean"):
        passages("boolq", DOCUMENTS, "passages")


def test_passages_that_no_other_document_has_are_none() -> None:
    assert passages("squad", {i: {"context": str(i)} for i in range(3)}) is None
    assert passages("odd", {0: "text", 1: "text"}) is None  # type: ignore[dict-item]


def test_a_comparison_takes_passages_as_a_whole_and_says_so() -> None:
    rng = np.random.default_rng(0)
    scores = np.repeat(rng.integers(0, 2, (40, 1)), 5, axis=0).astype(float)
    other = np.repeat(rng.integers(0, 2, (40, 1)), 5, axis=0).astype(float)

    def run(name: str, y: np.ndarray, labels: list[str] | None) -> Run:
        documents = [f"d{i}" for i in range(200)]
        curve = RankAccuracyCurve.from_scores([8], y, documents=documents, task="race", clusters=labels)
        return Run(name, None, {}, {"race": curve})

    labels = [str(i // 5) for i in range(200)]
    # What one record knows about the passages holds for the other, which was made before records had them.
    made = compare([run("a", scores, labels), run("b", other, None)])
    alone = compare([run("a", scores, None), run("b", other, None)])
    assert "race: 200 documents share 40 passages; errors and tests take each passage as a whole." in made.notes
    together, single = (c.results["b", "race"].difference for c in (made, alone))
    assert together is not None
    assert single is not None
    assert together.stderr == pytest.approx(single.stderr * np.sqrt(5), rel=0.05)  # passages of 5 that answer as one


def recorded(name: str, field: str | None, *, level: float) -> Run:
    y = np.repeat((np.random.default_rng(len(name)).random((40, 1)) < level), 5, axis=0).astype(float)
    labels = None if field is None else [str(i // 5) for i in range(200)]
    record = {} if field is None else {"tasks": {"race": {"clusters": {"field": field, "labels": []}}}}
    documents = [f"d{i}" for i in range(200)]
    curve = RankAccuracyCurve.from_scores([4, 8], np.hstack([y, y]), documents=documents, task="race", clusters=labels)
    return Run(name, None, record, {"race": curve})


def test_a_comparison_may_take_every_document_for_itself_or_name_the_field() -> None:
    runs = [recorded("a", "article", level=0.5), recorded("bb", None, level=0.6)]
    together, named, single = (compare(runs, cluster=field) for field in (None, "article", "none"))
    assert together.notes == named.notes
    assert "race: 200 documents share 40 passages" in " ".join(named.notes)
    assert "share" not in " ".join(single.notes)
    assert single.results["a", "race"].stderr < 0.6 * named.results["a", "race"].stderr  # passages of 5 answer as one


def test_a_recommendation_takes_the_field_too() -> None:
    run = recorded("a", "article", level=0.5)
    assert recommend(run, cluster="none").rank == recommend(run, cluster="article").rank


def test_a_field_that_no_record_knows_is_refused_with_the_way_out() -> None:
    for call in (compare, recommend):
        with pytest.raises(ComparisonError, match=r"which documents share 'story'; known: 'article'. Score again with"):
            call([recorded("a", "article", level=0.5)], cluster="story")
    with pytest.raises(ComparisonError, match=r"known: no field. .* or take --cluster none"):
        compare([recorded("a", None, level=0.5)], cluster="story")
