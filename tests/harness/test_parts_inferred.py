"""A part of the documents is never read as all of them: estimates, their errors, and what is said of both."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import aurac
from aurac.analysis.compute import compute
from aurac.errors import CurveError, RecordError
from aurac.harness.exchange.lm_eval_export import write_lm_eval
from aurac.quadrature import weights
from aurac.report.every_eval import every_eval
from aurac.results import Run
from aurac.statistics.audit import strata
from part_cases import RANKS


def test_the_half_width_is_what_was_asked_for(part: Run) -> None:
    interval = compute(part).interval
    assert interval.target == "benchmark"
    # The spread of all that was asked, not of the pilot alone, makes the interval.
    assert (interval.high - interval.low) / 2 == pytest.approx(0.04, rel=0.1)


def test_an_audit_estimates_the_whole_by_strata_of_the_anchor(audit: Run, whole: Run) -> None:
    every, state = whole.curve("held"), audit.record["parts"]["held"]
    labels = strata(every.scores[:, 1])
    rows = audit._content.cells["held", 4].rows
    rows = rows.filter(np.array(rows["metric"].to_pylist()) == "acc")
    asked = np.isin(np.arange(400), rows["doc_id"].to_pylist())
    by_hand = sum(
        state["sizes"][h] / 400 * every.scores[asked & (labels == h), 2].mean() for h in range(2)
    )  # documents of this task are in the order of their numbers
    curve = audit.curve("held")
    assert curve.accuracy_at(4) == pytest.approx(by_hand, rel=1e-12)
    assert curve.accuracy_at(2) == every.accuracy_at(2)
    assert abs(compute(audit).value - compute(whole).value) < 3 * compute(audit).stderr


def test_the_error_of_an_audit_has_both_parts(audit: Run, whole: Run) -> None:
    every, state, w = whole.curve("held"), audit.record["parts"]["held"], weights(RANKS, "log2", "trapezoid")
    labels, a = strata(every.scores[:, 1]), every.scores @ w
    asked = np.isin(np.arange(400), audit._content.cells["held", 1].rows["doc_id"].to_pylist())
    shares = np.array(state["sizes"]) / 400
    parts = [a[asked & (labels == h)] for h in range(2)]
    value = sum(share * part.mean() for share, part in zip(shares, parts, strict=True))
    audited = sum(s**2 * p.var(ddof=1) / len(p) for s, p in zip(shares, parts, strict=True))
    between = sum(s * (p.mean() - value) ** 2 for s, p in zip(shares, parts, strict=True)) / 399
    # What is audited varies within the N as well: a share (N - n_h) / N of 1 / N, below one part in N of the whole.
    assert compute(audit).stderr == pytest.approx(np.sqrt(audited + between), rel=0.01)


def test_the_table_says_what_was_asked_and_what_the_interval_is_about(part: Run, audit: Run) -> None:
    n = part.record["parts"]["held"]["asked"]
    text = aurac.compare([part]).to_markdown()
    assert f"{n} of 400" in text
    assert re.search(
        rf"held: {n} of 400 documents were asked; the interval, ± [34]\.\d\d points \(asked for: 4\)", text
    )
    assert "is about the score on all 400" in text
    assert f"|part:{n}-of-400|" in text
    assert "Where a part was asked: the score on all documents of the task (benchmark)." in text
    text = aurac.compare([part], target="benchmark").to_markdown()
    assert "Error: what the documents that were not asked leave open" in text
    text = aurac.compare([audit]).to_markdown()
    assert "held: 160 of 400 documents were asked, all 400 at rank 2, 60 % of the cells" in text
    assert "is about documents like these" in text


def test_json_says_what_was_asked_and_what_the_interval_is_about(part: Run, audit: Run) -> None:
    n = part.record["parts"]["held"]["asked"]
    row, audited = (json.loads(aurac.compare([run]).to_json())["rows"][0] for run in (part, audit))
    assert (row["n_asked"], row["n_benchmark"], row["aurac_target"]) == (n, 400, "benchmark")
    assert row["cells_asked"] == pytest.approx(n / 400, rel=1e-9)  # json has 12 digits
    assert (audited["n_asked"], audited["anchor"], audited["aurac_target"]) == (160, 2, "docs")


def test_a_part_about_new_documents_has_the_wider_interval(part: Run) -> None:
    own, docs = compute(part), compute(part, target="docs")
    n = part.record["parts"]["held"]["asked"]
    assert own.stderr == pytest.approx(docs.stderr * (1 - n / 400) ** 0.5, rel=1e-12)
    assert "target:benchmark" in str(own.signature)
    assert "target:docs" in str(docs.signature)


def test_passages_named_later_make_the_interval_one_about_new_documents(part: Run) -> None:
    labels = [k // 2 for k in range(part.record["parts"]["held"]["asked"])]
    assert compute(part, clusters=labels).interval.target == "docs"
    with pytest.raises(CurveError, match=r"no random part of their passages.*ask for target='docs'"):
        compute(part, clusters=labels, target="benchmark")


def test_runs_of_parts_are_paired_by_document(part: Run, whole: Run, audit: Run) -> None:
    compared = aurac.compare({"whole": [whole], "part": [part]}, target="docs")
    d = compared.results["part", "held"].difference
    assert (d.value, d.n_documents) == (0.0, part.record["parts"]["held"]["asked"])
    assert any("a part of the documents was asked" in note and "paired by document" in note for note in compared.notes)
    audited = aurac.compare({"whole": [whole], "audit": [audit]}, target="docs")
    d = audited.results["audit", "held"].difference
    assert d.n_documents == 400
    assert abs(d.value) < 3 * d.stderr
    assert d.interval.low < d.value < d.interval.high
    assert any("wins, ties and losses of audits are not counted" in note for note in audited.notes)
    row = next(row for row in json.loads(audited.to_json())["rows"] if row["run"] == "audit")
    assert row["wins"] is None


def test_two_audits_of_one_adapter_do_not_differ(audit: Run) -> None:
    again = replace(audit, path=audit.path / "again")
    d = aurac.compare({"a": [audit], "b": [again]}, target="docs").results["b", "held"].difference
    assert (d.value, d.p_value) == (0.0, 1.0)


def test_no_rank_is_recommended_from_a_part(part: Run, audit: Run) -> None:
    way_out = r"Score all documents: without --precision and --audit, into another --out\."
    with pytest.raises(CurveError, match=rf"as many as the AURAC needs, not the loss of a single rank\. {way_out}"):
        aurac.recommend(part)
    with pytest.raises(CurveError, match=rf"audited ranks have too few documents of their own\. {way_out}"):
        aurac.recommend(audit)


def test_lm_eval_files_of_a_part_are_refused(part: Run, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"asked a part of the documents of held.*would pass for all of them"):
        write_lm_eval(part, tmp_path / "out")


@pytest.mark.parametrize("fixture", ["part", "audit"])
def test_pictures_and_pages_say_that_a_part_was_asked(fixture: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(fixture)
    title = aurac.plot_curves(run).get_legend().get_title().get_text()
    assert "over documents like these" in title
    assert f"{run.curve('held').part} asked" in title
    exported = every_eval(run)["evaluation_results"][-1]["score_details"]
    about = {"part": "the whole benchmark", "audit": "new documents"}[fixture]
    assert exported["details"]["interval_about"] == about
