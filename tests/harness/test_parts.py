"""A part of the documents: the same for every rank, as many as the error needs, and never read as all of them."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.api.model import LM

import aurac
from aurac.analysis.compute import compute
from aurac.errors import CurveError, RecordError, TaskError
from aurac.harness.engine.work import Work
from aurac.harness.exchange.lm_eval_export import write_lm_eval
from aurac.harness.hosted.work import HostedWork
from aurac.harness.part_order import Wanted, hash_order
from aurac.harness.part_sweep import added
from aurac.harness.protocols import parse_tasks
from aurac.harness.scoring import run_identity, score_adapter
from aurac.harness.suite import Document, Suite, build_suite
from aurac.quadrature import weights
from aurac.report.every_eval import every_eval
from aurac.results import Run, load
from aurac.statistics.audit import strata

RANKS = (1, 2, 4)
HELD = """
task: NAME
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/NAME.jsonl}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{question}}"
doc_to_choice: ["no", "yes"]
doc_to_target: "{{label}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: f1, aggregation: f1, higher_is_better: true}
"""
SIZES = {"held": 400, "short": 60, "sure": 300, "shared": 120}


class Knowing(LM):
    """A model that answers right with a probability that rises with the rank, from a hash of document and rank."""

    def __init__(self) -> None:
        super().__init__()
        self._device = "cpu"
        self.at, self.asked, self.fail_at, self.stop_after = 0, [], None, None

    max_rank = 4

    def set_rank(self, rank: int) -> None:
        self.at = rank

    def set_base(self) -> None:
        self.at = 0

    def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        self.asked += [(self.at, request.args[0]) for request in requests]
        if self.stop_after is not None and len(self.asked) > self.stop_after:
            raise KeyboardInterrupt
        if self.at == self.fail_at:
            raise RuntimeError("power cut")
        return [(self.value(*request.args), False) for request in requests]

    def value(self, question: str, choice: str) -> float:
        easy = digest(question) + 0.2 * digest(f"{question}{self.at}") < 0.4 + 0.08 * self.at
        right = easy or question.startswith("sure")
        truth = question.endswith("yes?")
        return -1.0 if ((choice.strip() == "yes") == truth) == right else -2.0

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
        raise AssertionError("only choices are asked for")

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
        raise AssertionError("only choices are asked for")

    @property
    def documents(self) -> set[tuple[int, str]]:
        return set(self.asked)


def digest(text: str) -> float:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 16**8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    for name, size in SIZES.items():
        rows = [
            {"question": f"{name} {k}, {('no', 'yes')[k % 2]}?", "label": k % 2}
            | ({"passage": k // 4} if name == "shared" else {})
            for k in range(size)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / f"{name}.yaml").write_text(HELD.replace("FOLDER", str(folder)).replace("NAME", name))
    (folder / "both.yaml").write_text(
        "group: both\ntask: [held, short]\naggregate_metric_list:\n  - {metric: acc, aggregation: mean}\n"
    )
    return folder


def suite_of(folder: Path, tasks: str, **options: Any) -> Suite:
    return build_suite(parse_tasks(tasks), include_path=folder, progress=False, **options)


@pytest.fixture(scope="module")
def suite(folder: Path) -> Suite:
    return suite_of(folder, "held:acc")


def score(suite: Suite, out: Path, wanted: Wanted | None = None, lm: Knowing | None = None, **options: Any) -> Run:
    lm = lm or Knowing()
    about = {"sha256": "aa", "method": "lora", "max_rank": 4}
    identity = run_identity(suite, adapter=about, base={"sha256": "bb"}, dtype="float32", engine="x", wanted=wanted)
    given = {"ranks": RANKS, "progress": False} | options
    run = score_adapter(lambda: (lm, lm), suite, out=out, identity=identity, wanted=wanted, **given)
    assert run is not None
    return run


@pytest.fixture(scope="module")
def whole(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return score(suite, tmp_path_factory.mktemp("whole") / "run", with_base=True)


@pytest.fixture(scope="module")
def part(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return score(suite, tmp_path_factory.mktemp("part") / "run", Wanted(precision=4), with_base=True)


@pytest.fixture(scope="module")
def audit(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return score(suite, tmp_path_factory.mktemp("audit") / "run", Wanted(audit=0.4), with_base=True)


def test_every_rank_is_asked_the_documents_that_come_first_by_their_hashes(part: Run, suite: Suite) -> None:
    asked = part.record["parts"]["held"]["asked"]
    first = set(hash_order(suite.leaves["held"].documents)[:asked])
    assert 100 < asked < 400
    for rank in (0, *RANKS):
        rows = part._content.cells["held", rank].rows
        assert set(rows["doc_id"].to_pylist()) == first


def test_the_half_width_is_what_was_asked_for(part: Run) -> None:
    interval = compute(part).interval
    assert interval.target == "benchmark"
    # The spread of all that was asked, not of the pilot alone, makes the interval.
    assert (interval.high - interval.low) / 2 == pytest.approx(0.04, rel=0.1)


def test_scores_of_a_part_are_those_of_the_whole_sweep(part: Run, whole: Run) -> None:
    curve, every = part.curve("held"), whole.curve("held")
    assert np.array_equal(curve.scores, every.select_documents(curve.documents).scores)


def test_each_document_is_asked_once(suite: Suite, tmp_path: Path) -> None:
    lm = Knowing()
    score(suite, tmp_path / "run", Wanted(precision=4), lm)
    assert len(lm.asked) == 2 * len(lm.documents)  # two choices


class Counting(Knowing):
    """Reports work of which a ratio and a limit are part; half of the tokens of the second call are padding."""

    def __init__(self) -> None:
        super().__init__()
        self.reported: list[Work] = []

    def reset_work(self) -> Work:
        padding = 10 * len(self.reported)
        work = Work(tokens_forwarded=20, padding_tokens=padding, distinct_prefix_tokens=10, seconds={"plan": 1.0})
        work.token_budget = 64 // (1 + len(self.reported))
        self.reported.append(work)
        return work


def test_of_a_cell_that_grew_counts_are_added_and_ratios_follow_from_them(suite: Suite, tmp_path: Path) -> None:
    run = score(suite, tmp_path / "run", Wanted(precision=4), Counting(), ranks=(1,))
    assert [cell["status"] for cell in run.record["cells"]] == ["part"]
    work = run.record["cells"][0]["work"]
    assert (work["tokens_forwarded"], work["padding_tokens"], work["seconds"]) == (40, 10, {"plan": 2.0})
    assert (work["padding_share"], work["tokens_over_limit"]) == (0.25, 2.0)
    assert work["token_budget"] == 32  # the smaller one, as the report of one call has it
    assert work["rank_seconds"] > 0


def test_of_another_programs_report_all_numbers_are_counts() -> None:
    mine = HostedWork(prompts=2, tokens_computed=7, seconds=0.5).to_dict() | {"model": "a"}
    said = added(mine, HostedWork(prompts=1, seconds=0.25).to_dict() | {"model": "b"})
    assert (said["prompts"], said["tokens_computed"], said["tokens_cached"], said["seconds"]) == (3, 7, None, 0.75)
    assert said["model"] == "b"
    assert (added(None, mine), added(mine, None)) == (mine, mine)


def test_a_cell_says_that_it_holds_a_part(part: Run) -> None:
    entries = [cell for cell in part.record["cells"] if cell["task"] == "held"]
    assert {(cell["status"], cell["documents"]) for cell in entries} == {
        ("part", part.record["parts"]["held"]["asked"])
    }
    assert all(key.startswith("acc") for cell in entries for key in cell["metrics"] if not key.startswith("gold"))


def test_records_of_parts_have_a_schema_version_that_older_readers_refuse(part: Run, whole: Run) -> None:
    assert (part.record["schema_version"], whole.record["schema_version"]) == (2, 1)


def test_a_sweep_that_stopped_goes_on_to_the_same_documents(suite: Suite, tmp_path: Path, part: Run) -> None:
    for rank in (1, 4):  # in the pilot, and in what follows it
        lm = Knowing()
        lm.fail_at = rank
        run = score(suite, tmp_path / "run", Wanted(precision=4), lm, with_base=True)
        assert run.problems
    run = score(suite, tmp_path / "run", Wanted(precision=4), with_base=True)
    assert run.record["parts"] == part.record["parts"]
    assert np.array_equal(run.curve("held").scores, part.curve("held").scores)


@pytest.mark.parametrize("stopped", [250, 1100])
def test_a_sweep_that_was_cut_off_asks_only_what_is_lacking(
    suite: Suite, tmp_path: Path, part: Run, stopped: int
) -> None:
    first, then = Knowing(), Knowing()
    first.stop_after = stopped
    with pytest.raises(KeyboardInterrupt):
        score(suite, tmp_path / "run", Wanted(precision=4), first, with_base=True)
    run = score(suite, tmp_path / "run", Wanted(precision=4), then, with_base=True)
    assert np.array_equal(run.curve("held").scores, part.curve("held").scores)
    asked = part.record["parts"]["held"]["asked"]
    # What was asked twice is at most the cell in which it stopped: a pilot of 100, or what followed it.
    assert len(first.asked) + len(then.asked) <= 2 * (4 * asked + max(100, asked - 100))


def test_a_pilot_alone_is_no_curve(suite: Suite, tmp_path: Path) -> None:
    lm = Knowing()
    lm.fail_at = 4
    run = score(suite, tmp_path / "run", Wanted(precision=4), lm)
    assert {cell["status"] for cell in run.record["cells"]} == {"pilot", "failed"}
    assert [cell["rank"] for cell in run.pending] == [1, 2]
    assert "failed at rank 4" in run.problems["held"]


def test_another_rank_is_asked_the_same_documents_at_once(suite: Suite, tmp_path: Path) -> None:
    run = score(suite, tmp_path / "run", Wanted(precision=4))
    lm = Knowing()
    more = score(suite, tmp_path / "run", Wanted(precision=4), lm, ranks=(1, 2, 3, 4))
    assert {rank for rank, _ in lm.asked} == {3}
    assert more.curve("held").documents == run.curve("held").documents


def test_a_record_whose_run_json_is_lost_is_restored_as_a_part(suite: Suite, tmp_path: Path, part: Run) -> None:
    folder = copytree(part.path, tmp_path / "run")
    (folder / "run.json").write_text("{")
    with pytest.warns(UserWarning, match=r"the cells in documents\.parquet are kept"):
        run = score(suite, folder, Wanted(precision=4), with_base=True)
    assert run.record["parts"] == part.record["parts"]
    assert run.curve("held").part == part.curve("held").part


def test_cells_of_a_part_without_a_word_on_which_are_refused(tmp_path: Path, part: Run) -> None:
    folder = copytree(part.path, tmp_path / "run")
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {"parts": {}}))
    with pytest.raises(RecordError, match=r"hold a part of its documents, and run\.json does not say which\. Score it"):
        load(folder)


def test_another_precision_is_another_record(suite: Suite, tmp_path: Path) -> None:
    score(suite, tmp_path / "run", Wanted(precision=4))
    with pytest.raises(RecordError, match="holds another run: precision is 4 there and 3 here"):
        score(suite, tmp_path / "run", Wanted(precision=3))
    with pytest.raises(RecordError, match="holds another run: precision is 4 there and None here"):
        score(suite, tmp_path / "run")


@pytest.mark.parametrize(
    ("task", "precision", "why"),
    [
        ("short:acc", 4, "it has 60 documents, and 100 are needed to begin with"),
        ("held:acc", 0.01, "0.01 points need all documents"),
        ("sure:acc", 4, "of the first 100 documents 100.0 points is the mean"),
    ],
)
def test_a_task_scored_whole_has_the_record_of_a_sweep_without_precision(
    folder: Path, tmp_path: Path, task: str, precision: float, why: str
) -> None:
    suite, name = suite_of(folder, task), task.partition(":")[0]
    run, plain = score(suite, tmp_path / "part", Wanted(precision=precision)), score(suite, tmp_path / "whole")
    assert why in run.record["parts"][name]["whole"]
    assert [c | {"seconds": 0} for c in run.record["cells"]] == [c | {"seconds": 0} for c in plain.record["cells"]]
    assert all(run._content.cells[key].rows.equals(cell.rows) for key, cell in plain._content.cells.items())
    assert str(compute(run).signature) == str(compute(plain).signature)


@pytest.mark.parametrize(
    ("task", "why"),
    [
        ("both", r"--precision does not hold for task 'both': it is a group.*Name its tasks \(held, short \.\.\.\)"),
        ("held:f1", r"f1 is no mean over documents \(aggregation f1\)"),
        ("shared:acc", r"its documents share passages \(passage\).*--cluster none"),
        ("held:gold_nll", "gold_nll is no accuracy: less is better"),
    ],
)
def test_tasks_that_cannot_be_asked_in_part_are_refused(folder: Path, tmp_path: Path, task: str, why: str) -> None:
    with pytest.raises(TaskError, match=why):
        score(suite_of(folder, task), tmp_path / "run", Wanted(precision=4))
    assert not (tmp_path / "run").exists()


def test_passages_taken_as_independent_may_be_asked_in_part(folder: Path, tmp_path: Path) -> None:
    run = score(suite_of(folder, "shared:acc", cluster="none"), tmp_path / "run", Wanted(precision=9))
    assert run.curve("shared").part.n_asked == 100


def test_an_audit_asks_all_documents_at_the_middle_rank_and_a_share_at_the_others(audit: Run) -> None:
    state = audit.record["parts"]["held"]
    counts = {rank: len(set(audit._content.cells["held", rank].rows["doc_id"].to_pylist())) for rank in (0, *RANKS)}
    assert counts == {0: 160, 1: 160, 2: 400, 4: 160}
    assert (state["anchor"], sum(state["audited"]), sum(state["sizes"])) == (2, 160, 400)


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


def test_loading_again_gives_the_same_curve(audit: Run) -> None:
    assert np.array_equal(load(audit.path).curve("held").scores, audit.curve("held").scores)


def test_an_audit_that_stopped_goes_on_to_the_same_documents(suite: Suite, tmp_path: Path, audit: Run) -> None:
    for rank in (2, 4):
        lm = Knowing()
        lm.fail_at = rank
        assert score(suite, tmp_path / "run", Wanted(audit=0.4), lm, with_base=True).problems
    run = score(suite, tmp_path / "run", Wanted(audit=0.4), with_base=True)
    assert np.array_equal(run.curve("held").scores, audit.curve("held").scores)


def test_an_audit_of_too_few_documents_is_a_whole_sweep(folder: Path, tmp_path: Path) -> None:
    run = score(suite_of(folder, "short:acc"), tmp_path / "run", Wanted(audit=0.2))
    assert run.record["parts"]["short"]["whole"] == "0.2 of 60 documents are fewer than 60 audits"
    assert run.curve("short").part is None


def test_ranks_that_hardly_differ_are_asked_whole(folder: Path, tmp_path: Path) -> None:
    run = score(suite_of(folder, "sure:acc"), tmp_path / "run", Wanted(audit=0.4))
    assert "only 0 audited documents score otherwise than at rank 2" in run.record["parts"]["sure"]["whole"]
    assert {cell["status"] for cell in run.record["cells"]} == {"done"}


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


@given(st.permutations(range(8)), st.integers(0, 8))
def test_the_order_follows_from_hashes_alone_and_its_beginnings_are_nested(rows: list[int], first: int) -> None:
    hashes = ["c0", "a1", "b2", "b2", "99", "f0", "a1", "00"]  # two documents occur twice
    documents = [Document(row, hashes[row], "prompt", ()) for row in rows]
    assert hash_order(documents) == [7, 4, 1, 6, 2, 3, 0, 5]
    kept = [document for document in documents if document.doc_id in hash_order(documents)[:first]]
    assert hash_order(kept) == hash_order(documents)[:first]


@pytest.mark.parametrize("fixture", ["part", "audit"])
def test_pictures_and_pages_say_that_a_part_was_asked(fixture: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(fixture)
    title = aurac.plot_curves(run).get_legend().get_title().get_text()
    assert "over documents like these" in title
    assert f"{run.curve('held').part} asked" in title
    exported = every_eval(run)["evaluation_results"][-1]["score_details"]
    about = {"part": "the whole benchmark", "audit": "new documents"}[fixture]
    assert exported["details"]["interval_about"] == about
