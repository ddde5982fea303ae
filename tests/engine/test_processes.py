"""Two processes give the answers of one, and each holds all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aurac.harness.engine.processes import ALONE, Processes, current_processes
from tolerance import same_log_likelihoods

CASE = Path(__file__).parent / "distributed_case.py"


def run(folder: Path, count: int) -> list[dict[str, Any]]:
    command = [sys.executable, str(CASE), str(folder)]
    if count > 1:
        command[1:1] = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{i}-of-{count}.json").read_text()) for i in range(count)]


@pytest.mark.slow
def test_two_processes_give_the_answers_of_one(tmp_path: Path, tokenizer: Any) -> None:
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    (alone,) = run(tmp_path, 1)
    both = run(tmp_path, 2)
    for mine in both:
        for (value, greedy), (wanted, wanted_greedy) in zip(mine["loglikelihood"], alone["loglikelihood"], strict=True):
            assert value == same_log_likelihoods(wanted)
            assert greedy == wanted_greedy
        assert mine["rolling"] == same_log_likelihoods(alone["rolling"])
        assert mine["texts"] == alone["texts"]
        assert mine["sampled"] == alone["sampled"]
        # lm-eval is told of one process, or it would draw other few-shot examples in each.
        assert mine["world"] == [0, 1]
    # A process that fails takes the other along, and both go on together.
    assert alone["reasons"] == ["ValueError: no luck", "well"]
    assert both[0]["reasons"] == ["ValueError: no luck", "FailedElsewhereError: ValueError: no luck"]
    assert both[1]["reasons"] == ["FailedElsewhereError: ValueError: no luck", "ValueError: no luck"]
    assert both[0]["afterwards"] == both[0]["loglikelihood"]
    counted = {
        "requests",
        "documents",
        "truncated",
        "distinct_prefix_tokens",
        "rows_asked",
        "rows_projected",
        "tokens_generated",
    }
    assert {k: both[0]["work"][k] for k in counted} == {k: alone["work"][k] for k in counted}


def test_shares_are_put_back_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    items = list("abcdefg")
    shares = [Processes(i, 3).share(items) for i in range(3)]
    assert shares == [["a", "d", "g"], ["b", "e"], ["c", "f"]]
    monkeypatch.setattr(Processes, "gather", lambda self, mine: shares)  # noqa: ARG005
    assert Processes(1, 3).collect(shares[1]) == items


def test_without_a_process_group_there_is_one_process() -> None:
    assert current_processes() == ALONE
    assert ALONE.collect([1, 2]) == [1, 2]
