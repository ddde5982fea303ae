"""`aurac score`: any PEFT LoRA folder in, a record, a table and plots out; mistakes are one line and leave nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapter_by_peft import TASKS, write_adapter
from aurac import compute, testbed
from aurac.errors import OptionError
from aurac.results import load
from aurac.workflows.options import ScoreOptions

Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def _undrawn(request: pytest.FixtureRequest) -> None:
    if "plots" not in request.node.name:
        request.getfixturevalue("undrawn")


def test_a_folder_that_peft_made_gives_record_table_and_plots(scored: dict[str, Path]) -> None:
    folder = scored["one"]
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == [
        "curves.pdf", "curves.png", "documents.parquet", "run.json",
    ]  # fmt: skip
    run = load(folder)
    assert (run.tasks, run.ranks, run.method) == (("facts", "tilt"), (1, 2, 4), "lora")
    assert run.curve("facts").n_documents == 8


def test_a_second_call_measures_nothing_and_prints_the_same(
    call: Call, adapters: dict[str, Path], scored: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the model was loaded though nothing was left to measure")

    monkeypatch.setattr("aurac.workflows.prepared.open_model", never)
    again = [call("score", adapters["one"], "--tasks", "facts,tilt", *TASKS, "--out", scored["one"]) for _ in range(2)]
    assert [done.status for done in again] == [0, 0]
    assert again[0].out == again[1].out
    assert "no sidecar, so it was scored as prefixes of a plain LoRA" in again[0].out
    assert "facts, 0-shot, acc" in again[0].err


def test_more_ranks_and_tasks_extend_the_record(call: Call, adapters: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert call("score", adapters["one"], "--tasks", "facts", *TASKS, "--ranks", "1,4", "--out", out).status == 0
    done = call("score", adapters["one"], "--tasks", "cipher", *TASKS, "--ranks", "1,4", "--out", out)
    assert done.status == 0
    assert load(out).tasks == ("facts", "cipher")


def test_json_goes_to_standard_output_alone(call: Call, adapters: dict[str, Path], scored: dict[str, Path]) -> None:
    done = call("score", adapters["one"], "--tasks", "facts,tilt", *TASKS, "--out", scored["one"], "--format", "json")
    assert [row["task"] for row in json.loads(done.out)["rows"]] == ["facts", "tilt", "macro"]


def test_a_profile_says_where_the_time_went_beside_the_results(
    call: Call, adapters: dict[str, Path], scored: dict[str, Path]
) -> None:
    asked = ("score", adapters["one"], "--tasks", "facts,tilt", *TASKS, "--out", scored["one"])
    plain, done = call(*asked), call(*asked, "--profile")
    assert done.out == plain.out
    said = done.err[done.err.index("where the time of this record went (") :]
    parts = [line.split("  ")[1].strip() for line in said.splitlines()[1:-1]]
    assert parts == [
        "starting up", "building tasks", "building requests", "waiting for the model", "setting ranks", "planning",
        "trying out the model", "forward", "projection", "softmax", "Python and the rest", "between cells",
        "tables and plots",
    ]  # fmt: skip
    assert re.fullmatch(r"  [\d,]+ tokens forwarded per second, at most [\d.]+ [MG]B of memory", said.splitlines()[-1])


def test_the_record_lies_in_the_adapter_folder_by_default(call: Call, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "mine", seed=5)
    assert call("score", folder, "--tasks", "facts", *TASKS, "--ranks", "4").status == 0
    assert load(folder).name == "mine"


def broken(source: Path, out: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    copytree(source, out)
    tensors = load_file(out / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, out / "adapter_model.safetensors", metadata={"format": "pt"})
    return out


def nan(tensors: dict[str, torch.Tensor]) -> None:
    next(iter(tensors.values()))[0, 0] = float("nan")


def zero(tensors: dict[str, torch.Tensor]) -> None:
    for key, tensor in tensors.items():
        if "lora_B" in key:
            tensor.zero_()


def truncate(folder: Path) -> Path:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-50])
    return folder


def rename_base(folder: Path) -> Path:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": "/no/such/model"}))
    return folder


def far_away(folder: Path, tasks: Path) -> Path:
    (tasks / "far.yaml").write_text(
        "task: far\ndataset_path: no-one/has-this\ntest_split: test\noutput_type: loglikelihood\n"
        'doc_to_text: "{{q}}"\ndoc_to_target: "{{a}}"\nmetric_list: [{metric: acc}]\n'
    )
    return folder


MISTAKES: dict[str, tuple[Callable[[Path, Path], Path], tuple[str, ...], str]] = {
    "no such folder": (lambda _, t: t / "nowhere", (), "no such folder: "),
    "not a LoRA folder": (lambda _, t: t, (), "is no PEFT adapter: it has no adapter_config.json"),
    "base model missing": (lambda a, t: rename_base(copytree(a, t / "x")), (), "no such model folder: /no/such/model"),
    "rank above R": (lambda a, _: a, ("--ranks", "2,8"), "rank 8 is outside 1..4"),
    "unknown task": (lambda a, _: a, ("--tasks", "facst"), "Did you mean 'facts'"),
    "unreachable data": (far_away, ("--tasks", "far", "--include-path", "{}"), "cannot be reached"),
    "NaN weights": (lambda a, t: broken(a, t / "x", nan), (), "holds NaN or infinity"),
    "all-zero weights": (lambda a, t: broken(a, t / "x", zero), (), "it was not trained"),
    "truncated safetensors": (lambda a, t: truncate(copytree(a, t / "x")), (), "is damaged or no safetensors file"),
    "unknown metric": (lambda a, _: a, ("--tasks", "facts:accuracy"), "unknown metric"),
    "no such device": (lambda a, _: a, ("--device", "gpu9"), "cannot be put on device 'gpu9'"),
    "no limit": (lambda a, _: a, ("--limit", "0"), "limit is 0"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_error_line_and_leaves_nothing_behind(
    mistake: str, call: Call, adapters: dict[str, Path], tmp_path: Path
) -> None:
    make, options, message = MISTAKES[mistake]
    out = tmp_path / "record"
    folder = make(adapters["one"], tmp_path)
    before = sorted(tmp_path.rglob("*"))
    options = tuple(option.format(tmp_path) for option in options)
    done = call("score", folder, "--tasks", "facts", *TASKS, "--out", out, *options)
    assert (done.status, done.out) == (1, "")
    assert message in done.error
    assert "Traceback" not in done.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_holds_another_run_is_refused_and_kept(
    call: Call, adapters: dict[str, Path], scored: dict[str, Path]
) -> None:
    before = {path: path.read_bytes() for path in scored["one"].iterdir() if path.is_file()}
    done = call("score", adapters["two"], "--tasks", "facts", *TASKS, "--out", scored["one"])
    assert done.status == 1
    assert "holds another run: adapter.sha256 is" in done.error
    assert {path: path.read_bytes() for path in before} == before


def test_an_adapter_that_names_no_base_needs_one(call: Call, adapters: dict[str, Path], tmp_path: Path) -> None:
    folder = copytree(adapters["one"], tmp_path / "x")
    config = json.loads((folder / "adapter_config.json").read_text()) | {"base_model_name_or_path": None}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    assert "does not name its base model. Give it with --base." in call("score", folder, "--tasks", "facts").error
    done = call("score", folder, "--tasks", "facts", *TASKS, "--ranks", "4", "--base", testbed.MODEL)
    assert done.status == 0


def test_an_interruption_is_status_130_and_keeps_what_was_measured(
    call: Call, adapters: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import aurac.harness.sweep as sweep_module

    measured = sweep_module.measure_cell
    count = 0

    def interrupted(*args: Any) -> Any:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return measured(*args)

    monkeypatch.setattr(sweep_module, "measure_cell", interrupted)
    command = ("score", adapters["one"], "--tasks", "facts", *TASKS, "--out", tmp_path / "run")
    done = call(*command)
    assert done.status == 130
    assert "interrupted; what was finished is kept" in done.err
    assert [cell["rank"] for cell in load(tmp_path / "run").pending] == [0, 4]
    resumed = call(*command)
    assert resumed.status == 0
    assert f"{tmp_path / 'run'}: 2 of 4 cells are measured already" in resumed.err
    assert count == 5  # the two cells that were there were not measured again


def test_score_says_where_the_record_and_its_plots_are(call: Call, adapters: dict[str, Path], tmp_path: Path) -> None:
    done = call("score", adapters["one"], "--tasks", "facts", *TASKS, "--ranks", "4", "--out", tmp_path / "run")
    assert f"{tmp_path / 'run'}: the record, curves.png and curves.pdf" in done.err
    assert {"run.json", "curves.png", "curves.pdf"} <= {path.name for path in (tmp_path / "run").iterdir()}


def test_rule_and_gain_are_part_of_what_was_scored(call: Call, adapters: dict[str, Path], tmp_path: Path) -> None:
    common = ("score", adapters["one"], "--tasks", "facts", *TASKS, "--ranks", "1,4")
    assert call(*common, "--inference", "projected", "--gain", "2", "--out", tmp_path / "run").status == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["identity"]["adapter"]["inference"] == "projected-gain-2"
    assert "|inference:projected-gain-2|" in str(compute(tmp_path / "run", task="facts").signature)
    other = call(*common, "--inference", "projected", "--out", tmp_path / "run")
    assert other.status == 1
    assert "projected-gain-2" in other.err


def test_rank_0_is_lm_eval_on_the_plain_base_document_by_document_and_no_point_of_the_curve(
    call: Call, adapters: dict[str, Path], tmp_path: Path
) -> None:
    options = ("--ranks", "1,4", "--dtype", "float32", "--out", tmp_path / "run")  # in bfloat16 near ties could flip
    done = call("score", adapters["one"], "--tasks", "facts,tilt", *TASKS, *options)
    assert done.status == 0
    assert "Gain over the base model" in done.out
    run = load(tmp_path / "run")
    assert run.ranks == (1, 4)
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    plain = lm_eval.simple_evaluate(
        HFLM(pretrained=str(testbed.MODEL), dtype="float32", device="cpu", batch_size=4),
        tasks=["facts", "tilt"],
        limit=8,
        task_manager=TaskManager(include_path=str(testbed.TASKS), include_defaults=False),
        log_samples=True,
        bootstrap_iters=0,
    )
    for task in ("facts", "tilt"):
        curve = run.curve(task)
        expected = {f"{task}/{s['doc_hash']}/{s['prompt_hash']}": s["acc"] for s in plain["samples"][task]}
        assert curve.base_scores is not None
        assert dict(zip(curve.documents or (), curve.base_scores.tolist(), strict=True)) == expected
        assert curve.base == plain["results"][task]["acc,none"]


def test_the_base_model_is_left_out_when_asked_to(call: Call, adapters: dict[str, Path], tmp_path: Path) -> None:
    done = call("score", adapters["one"], "--tasks", "facts", *TASKS, "--no-base", "--out", tmp_path / "run")
    assert done.status == 0
    assert "base" not in done.out
    assert load(tmp_path / "run").curve("facts").base is None
    assert {cell["rank"] for cell in json.loads((tmp_path / "run" / "run.json").read_text())["cells"]} == {1, 2, 4}


@pytest.mark.filterwarnings("ignore:slower path")
def test_texts_that_hflm_generated_are_said_to_depend_on_its_batch_size(
    call: Call, adapters: dict[str, Path], tmp_path: Path
) -> None:
    tasks = tmp_path / "tasks"
    copytree(testbed.TASKS, tasks)
    beams = (tasks / "cipher.yaml").read_text().replace("  do_sample: false", "  do_sample: false\n  num_beams: 2")
    (tasks / "cipher.yaml").write_text(beams)
    options = ("--include-path", tasks, "--limit", "8", "--batch-size", "4", "--ranks", "4", "--no-base")
    done = call("score", adapters["one"], "--tasks", "facts,cipher", *options, "--out", tmp_path / "run")
    assert done.status == 0
    assert (
        "Slower path on cipher: generation with num_beams. Answered by HFLM's own code, 4 requests at a time. Texts "
        "there depend on HFLM's padding with batch size 4."
    ) in " ".join(done.out.split())


def test_seeds_of_several_draws_of_examples_are_an_option(
    call: Call, adapters: dict[str, Path], tmp_path: Path
) -> None:
    text = (testbed.TASKS / "facts.yaml").read_text().replace("num_fewshot: 0", "num_fewshot: 1\nfewshot_split: test")
    for name in ("documents.py", "facts.jsonl"):
        (tmp_path / name).write_bytes((testbed.TASKS / name).read_bytes())
    (tmp_path / "shown.yaml").write_text(text.replace("task: facts", "task: shown"))
    options = ("--include-path", tmp_path, "--limit", "6", "--ranks", "1,4", "--out", tmp_path / "run")
    done = call("score", adapters["one"], "--tasks", "shown", *options, "--fewshot-seeds", "1,2,3")
    assert done.status == 0, done.err
    assert "Target: docs+prompts (this adapter, new documents and newly drawn few-shot examples)" in done.out
    assert "|fewshot_seeds:1-2-3|" in done.out
    assert "documents and 3 draws of examples; " in str(compute(tmp_path / "run"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--fewshot-seeds", "1,2", "--seed", "3"), "seed and --fewshot-seeds were both given"),
        (("--fewshot-seeds", "1,2", "--audit", "0.2"), "a part is chosen for the error over documents alone"),
        (("--fewshot-seeds", "1,2"), "task 'facts' is asked without examples (0 shots), so seeds of their draw"),
    ],
)
def test_seeds_of_draws_that_cannot_be_used_are_refused_in_one_line(
    call: Call, adapters: dict[str, Path], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    done = call("score", adapters["one"], "--tasks", "facts", *TASKS, *options, "--out", tmp_path / "run")
    assert done.status == 1
    assert message in done.error
    assert not (tmp_path / "run").exists()


def test_one_seed_or_the_same_twice_is_no_list_of_draws() -> None:
    for seeds in ((), (1,), (2, 2)):
        with pytest.raises(
            OptionError, match=r"fewshot_seeds: .* is no list of at least two distinct seeds, such as 1"
        ):
            ScoreOptions(tasks="facts", fewshot_seeds=seeds)
