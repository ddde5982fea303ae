"""Every Eval Ever: what is exported fits the published schema, and its numbers are those of `compute`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import aurac
from aurac.curve.curve import RankAccuracyCurve
from aurac.errors import RecordError
from aurac.report.every_eval import every_eval, write_every_eval
from aurac.results import Run

jsonschema = pytest.importorskip("jsonschema", reason="validation needs jsonschema (extra aurac[test])")
ROOT = Path(__file__).parents[2]
# The published schema, its structure without the prose.
SCHEMA = json.loads(Path(__file__).with_name("every-eval-ever-0.3.0.schema.json").read_text())
RECORDS = sorted((ROOT / "results/testbed").glob("*/run.json"))


@pytest.mark.parametrize("file", RECORDS, ids=lambda file: file.parent.name)
def test_a_committed_record_fits_the_schema(file: Path, tmp_path: Path) -> None:
    write_every_eval(aurac.load(file.parent), tmp_path / "out.json")
    jsonschema.Draft7Validator(SCHEMA).validate(json.loads((tmp_path / "out.json").read_text()))


def test_the_numbers_are_those_of_compute() -> None:
    run = aurac.load(ROOT / "results/testbed/dylora")
    results = {result["evaluation_result_id"]: result for result in every_eval(run)["evaluation_results"]}
    assert len(results) == 3 * (6 + 1)
    score, found = aurac.compute(run, task="tilt"), results["tilt/aurac"]["score_details"]
    assert found["score"] == score.value
    assert found["uncertainty"]["standard_error"]["value"] == score.stderr
    assert score.interval is not None
    assert found["uncertainty"]["confidence_interval"]["lower"] == score.interval.low
    at_four = results["tilt/rank-4"]
    assert at_four["metric_config"]["metric_parameters"] == {"rank": 4}
    assert at_four["score_details"]["score"] == pytest.approx(run.curve("tilt").accuracies[2], rel=1e-12)


def test_where_nothing_varies_the_error_is_left_out_and_the_interval_stays(make_run: Callable[..., Run]) -> None:
    run = made(make_run, RankAccuracyCurve.from_scores([1, 2], [[1, 1]] * 5, task="t"))
    uncertainty = every_eval(run)["evaluation_results"][0]["score_details"]["uncertainty"]
    assert "standard_error" not in uncertainty
    assert uncertainty["confidence_interval"]["lower"] < 1


def test_without_documents_there_is_a_score_and_no_uncertainty(make_run: Callable[..., Run]) -> None:
    content = every_eval(made(make_run, RankAccuracyCurve([1, 2], [0.25, 0.5], task="t")))
    jsonschema.Draft7Validator(SCHEMA).validate(content)
    assert all("uncertainty" not in result["score_details"] for result in content["evaluation_results"])


def test_a_run_without_a_curve_has_nothing_to_export(make_run: Callable[..., Run]) -> None:
    with pytest.raises(
        RecordError, match=r"run 'a' has no curve, so there is nothing to export. Finish its sweep first"
    ):
        every_eval(make_run("a"))


def made(make_run: Callable[..., Run], *curves: Any) -> Run:
    run = make_run("a", *curves)
    return Run(run.name, None, {**run.record, "updated": "2026-11-25T12:00:00+00:00"}, run.curves)
