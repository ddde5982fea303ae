"""Running out of memory halves the batch and changes no score; logits that are no numbers fail their cell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from adapter_by_peft import TASKS
from aurac import testbed
from aurac.results import load

Call = Callable[..., Any]
ALL = ",".join(testbed.TASK_NAMES)


@pytest.fixture
def change_model(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any, Any], None]], None]:
    """Let a function see, and change, every model and handle that `aurac score` opens."""
    import aurac.workflows.prepared as score

    opened = score.open_model

    def use(change: Callable[[Any, Any], None]) -> None:
        def open_changed(*arguments: Any) -> Any:
            lm, nested = opened(*arguments)
            change(lm, nested)
            return lm, nested

        monkeypatch.setattr(score, "open_model", open_changed)

    return use


def memory_for(tokens: int) -> Callable[[Any, Any], None]:
    """Let the model run out of memory where it is called with more than so many tokens."""

    def check(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].numel() > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def change(lm: Any, _: Any) -> None:
        _ = getattr(lm, "capability", None)  # found out with a few tokens more
        lm.model.get_input_embeddings().register_forward_pre_hook(check)

    return change


@pytest.fixture
def small_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the engine from packing all these short prompts into one row, which could not be halved."""
    monkeypatch.setattr("aurac.harness.engine.plan.PACKED", 4)


def documents(folder: Path) -> Any:
    return pq.read_table(folder / "documents.parquet")


def score(call: Call, adapter: Path, out: Path, *options: str, tasks: str = ALL) -> Any:
    settings = ("--no-base", "--ranks", "1,4", "--dtype", "float32", "--batch-size", "auto")
    return call("score", adapter, "--tasks", tasks, *TASKS[:4], *settings, *options, "--out", out)


@pytest.mark.usefixtures("small_documents")
def test_a_batch_that_is_too_large_is_halved_and_the_scores_are_the_same(
    call: Call, adapter: Path, tmp_path: Path, change_model: Any
) -> None:
    assert score(call, adapter, tmp_path / "whole").status == 0
    change_model(memory_for(30))
    with pytest.warns(UserWarning, match=r"out of memory \(CUDA out of memory.*\): going on with \d+ tokens per batch"):
        done = score(call, adapter, tmp_path / "halved")
    assert done.status == 0
    assert documents(tmp_path / "halved").equals(documents(tmp_path / "whole"))
    work = [cell["work"] for cell in json.loads((tmp_path / "halved" / "run.json").read_text())["cells"]]
    backed_off = sum(cell["backed_off"] for cell in work)
    assert 1 <= backed_off <= 4  # a batch is not tried again before it is smaller
    assert {cell["token_budget"] for cell in work} != {4096}


@pytest.mark.usefixtures("small_documents")
@pytest.mark.parametrize(
    ("engine", "tokens", "large", "small"),
    # The engine forwards the choices of a question of facts in one row, HFLM one by one.
    [("aurac", 7, "facts", "cipher"), ("hflm", 5, "cipher", "facts")],
)
def test_a_document_that_is_too_large_fails_its_cells_and_the_others_are_measured(
    engine: str, tokens: int, large: str, small: str, call: Call, adapter: Path, tmp_path: Path, change_model: Any
) -> None:
    change_model(memory_for(tokens))
    options = ("--engine", engine, "--batch-size", "1")
    done = score(call, adapter, tmp_path / "run", *options, tasks="facts,cipher")
    assert done.status == 1
    for rank in (1, 4):
        reason = "out of memory: CUDA out of memory. Tried to allocate 2.00 GiB. The same command tries again, with a"
        assert f"failed: {large} at rank {rank}: {reason} smaller --batch-size" in done.err
    assert load(tmp_path / "run").curves[small].ranks == (1, 4)


def break_rank(rank: int) -> Callable[[Any, Any], None]:
    """Let the weights of a rank be NaN, which a folder could not hold: they overflowed while they were computed."""

    def change(lm: Any, nested: Any) -> None:
        set_rank = nested.set_rank
        weight = lm.model.get_output_embeddings().weight
        sound = weight.detach().clone()

        def set_and_break(wanted: int) -> None:
            set_rank(wanted)
            with torch.no_grad():
                weight.copy_(sound)
                if wanted == rank:
                    weight[3] = float("nan")

        nested.set_rank = set_and_break

    return change


@pytest.fixture
def broken(change_model: Any) -> None:
    change_model(break_rank(1))


@pytest.mark.usefixtures("broken")
@pytest.mark.filterwarnings("ignore:slower path")
@pytest.mark.parametrize("engine", ["aurac", "hflm"])
def test_nan_at_a_rank_fails_its_cells_and_the_sweep_goes_on(
    engine: str, call: Call, adapter: Path, tmp_path: Path
) -> None:
    options = ("--engine", engine, "--batch-size", "4")
    done = score(call, adapter, tmp_path / "run", *options, tasks="cipher,facts")
    assert done.status == 1
    run = load(tmp_path / "run")
    assert [(cell["task"], cell["rank"]) for cell in run.failures] == [("cipher", 1), ("facts", 1)]
    assert run.tasks == ()
    assert "failed: cipher at rank 1: logits were not numbers (NaN) while 8 texts were generated." in done.err
    assert "failed: facts at rank 1: 32 of 32 log-likelihoods are not numbers (NaN)" in done.err
    assert "no curve for cipher: task 'cipher' failed at rank 1" in done.err
    assert {cell["rank"] for cell in run.record["cells"] if cell["status"] == "done"} == {4}


def test_sound_logits_fail_nothing_though_padding_is_forwarded(call: Call, adapter: Path, tmp_path: Path) -> None:
    for engine in ("aurac", "hflm"):
        done = score(call, adapter, tmp_path / engine, "--engine", engine, "--batch-size", "8", tasks="cipher")
        assert (done.status, load(tmp_path / engine).failures) == (0, ())


def test_a_task_that_cannot_judge_an_answer_fails_its_cell(
    call: Call, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval.api.task import ConfigurableTask

    def fail(*_: Any) -> Any:
        raise ZeroDivisionError("no answers")

    monkeypatch.setattr(ConfigurableTask, "process_results", fail)
    done = score(call, adapter, tmp_path / "run", tasks="facts")
    assert done.status == 1
    assert "failed: facts at rank 4: the task cannot judge the answers: ZeroDivisionError: no answers" in done.err
