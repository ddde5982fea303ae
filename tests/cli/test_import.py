"""`aurac import`: lm-eval run as its users run it, at each rank, gives the numbers of `aurac score`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

import aurac
from aurac import testbed
from aurac_adapters import export_slice

Call = Callable[..., Any]
RANKS = (1, 4)


@pytest.fixture(scope="module")
def outputs(adapters: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`lm_eval --model hf --model_args pretrained=...,peft=... --log_samples --output_path`, on plain PEFT slices."""
    import lm_eval
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    root = tmp_path_factory.mktemp("lm-eval")
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda _: None)  # calls pip and git, for seconds
    for rank in RANKS:
        adapter = export_slice(adapters["one"], rank, root / "slices" / str(rank))
        tracker = EvaluationTracker(output_path=str(root / "out" / f"rank-{rank}"))
        results = lm_eval.simple_evaluate(
            "hf",
            model_args=f"pretrained={testbed.MODEL},peft={adapter},dtype=float32",
            tasks=["tilt", "cipher"],
            task_manager=TaskManager(include_path=str(testbed.TASKS), include_defaults=False),
            limit=8,
            batch_size=8,
            device="cpu",
            bootstrap_iters=0,
            log_samples=True,
            evaluation_tracker=tracker,
        )
        assert results is not None
        samples = results.pop("samples")
        tracker.save_results_aggregated(results=results, samples=samples)
        for task in results["configs"]:
            tracker.save_results_samples(task_name=task, samples=samples[task])
    monkeypatch.undo()
    return root / "out"


@pytest.fixture(scope="module")
def imported(outputs: Path, adapters: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    from aurac.cli import main

    out = tmp_path_factory.mktemp("imported") / "theirs"
    assert main(["import", str(outputs), "--adapter", str(adapters["one"]), "--out", str(out)]) == 0
    return out


def test_an_imported_record_has_the_aurac_and_error_of_aurac_score(
    call: Call, imported: Path, adapters: dict[str, Path], tmp_path: Path
) -> None:
    options = ("--include-path", testbed.TASKS, "--limit", "8", "--dtype", "float32", "--ranks", "1,4")
    assert call("score", adapters["one"], "--tasks", "tilt,cipher", *options, "--out", tmp_path / "ours").status == 0
    for task in ("tilt", "cipher"):
        ours, theirs = (aurac.compute(folder, task=task) for folder in (tmp_path / "ours", imported))
        assert (theirs.value, theirs.stderr, theirs.interval) == (ours.value, ours.stderr, ours.interval)
        assert theirs.signature == ours.signature
    assert aurac.compute(imported, task="tilt").stderr
    done = call("compare", tmp_path / "ours", imported, "--tasks", "tilt", "--format", "json")
    (row,) = [row for row in json.loads(done.out)["rows"] if row["run"] == "theirs"]
    assert (row["difference"], row["n_documents"], row["ties"]) == (0.0, 8, 8)


def test_ranks_may_be_named_one_by_one_and_tasks_be_chosen(call: Call, outputs: Path, tmp_path: Path) -> None:
    ranks = [part for rank in RANKS for part in ("--rank", f"{rank}={outputs / f'rank-{rank}'}")]
    done = call("import", *ranks, "--tasks", "tilt@0:acc_norm", "--method", "svd-lora", "--out", tmp_path / "run")
    assert (done.status, done.err) == (0, "")
    assert "acc_norm" in done.out
    run = aurac.load(tmp_path / "run")
    assert (run.method, run.tasks, run.ranks) == ("svd-lora", ("tilt",), RANKS)


def test_a_folder_of_results_without_a_rank_in_its_name_is_named(call: Call, outputs: Path, tmp_path: Path) -> None:
    parent = copytree(outputs, tmp_path / "lm-eval")
    copytree(outputs / "rank-4", parent / "r16_rerun")
    with pytest.warns(UserWarning, match=r"not imported: r16_rerun in .*, which holds results of lm_eval and"):
        done = call("import", parent, "--out", tmp_path / "run")
    assert done.status == 0
    ranks = [part for rank in (4, 16) for part in ("--rank", f"{rank}={parent / 'rank-4'}")]
    error = call("import", *ranks, "--out", tmp_path / "other").error
    assert "rank 4 and rank 16 are results of the same weights" in error


def test_compute_says_how_to_make_a_record_of_it(call: Call, outputs: Path) -> None:
    assert "Make a run record of it with `aurac import" in call("compute", outputs).error


CURVE = "rank,accuracy,n\n1,0.5,100\n2,0.6,100\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either PARENT, a folder with one child a rank, or --rank R=DIR"),
        (("PARENT", "--rank", "1=x"), "give either PARENT, a folder with one child a rank, or --rank R=DIR"),
        (("--rank", "r4=x"), "--rank 'r4=x' is not R=DIR. Give for example 4=out/r4."),
        (("--rank", "0=x"), "--rank '0=x' is not R=DIR"),
        (("--rank", "1=x", "--rank", "1=y"), "--rank 1 was given twice"),
        (("--rank", "1=/no/such"), "rank 1: there is no folder /no/such. Give a folder that lm_eval wrote"),
        (("PARENT", "--tasks", "tild"), "Did you mean 'tilt'"),
        (("PARENT", "--adapter", "x", "--method", "y"), "--adapter says which method it is. Leave --method out."),
        (("CURVE",), "numbers for each rank alone are read by `aurac compute"),
    ],
)
def test_mistakes_are_one_error_line_and_write_nothing(
    arguments: tuple[str, ...], message: str, call: Call, outputs: Path, tmp_path: Path
) -> None:
    (tmp_path / "curve.csv").write_text(CURVE)
    stands_for = {"PARENT": outputs, "CURVE": tmp_path / "curve.csv"}
    done = call("import", *(stands_for.get(part, part) for part in arguments), "--out", tmp_path / "run")
    assert (done.status, done.out) == (1, "")
    assert message in done.error
    assert not (tmp_path / "run").exists()


def test_accuracies_alone_have_no_error_and_compute_says_so(call: Call, tmp_path: Path) -> None:
    (tmp_path / "curve.csv").write_text(CURVE)
    assert "(error unknown)" in call("compute", tmp_path / "curve.csv").out
