"""A part of the documents: the same for every rank, as many as the error needs, and recorded as a part."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurac.analysis.compute import compute
from aurac.errors import RecordError, TaskError
from aurac.harness.engine.work import Work
from aurac.harness.hosted.work import HostedWork
from aurac.harness.part_order import Wanted, hash_order
from aurac.harness.part_sweep import added
from aurac.harness.suite import Document, Suite
from aurac.results import Run, load
from part_cases import RANKS, Knowing, score, suite_of


@pytest.fixture
def folder(part_folder: Path) -> Path:
    return part_folder


@pytest.fixture
def suite(part_suite: Suite) -> Suite:
    return part_suite


def test_every_rank_is_asked_the_documents_that_come_first_by_their_hashes(part: Run, suite: Suite) -> None:
    asked = part.record["parts"]["held"]["asked"]
    first = set(hash_order(suite.leaves["held"].documents)[:asked])
    assert 100 < asked < 400
    for rank in (0, *RANKS):
        rows = part._content.cells["held", rank].rows
        assert set(rows["doc_id"].to_pylist()) == first


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


@given(st.permutations(range(8)), st.integers(0, 8))
def test_the_order_follows_from_hashes_alone_and_its_beginnings_are_nested(rows: list[int], first: int) -> None:
    hashes = ["c0", "a1", "b2", "b2", "99", "f0", "a1", "00"]  # two documents occur twice
    documents = [Document(row, hashes[row], "prompt", ()) for row in rows]
    assert hash_order(documents) == [7, 4, 1, 6, 2, 3, 0, 5]
    kept = [document for document in documents if document.doc_id in hash_order(documents)[:first]]
    assert hash_order(kept) == hash_order(documents)[:first]
