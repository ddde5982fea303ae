"""What lm-eval wrote to disk becomes the record of our own sweep, or an error that says why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import lm_eval
import numpy as np
import pytest
import torch
from lm_eval.loggers import EvaluationTracker
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from peft import LoraConfig, get_peft_model
from transformers import LlamaForCausalLM

from aurac.errors import AuracError, RecordError, UnknownNameError
from aurac.harness.exchange.imported_cell import reported
from aurac.harness.exchange.importing import import_lm_eval
from aurac.harness.exchange.lm_eval_export import write_lm_eval
from aurac.harness.exchange.lm_eval_names import below, check_groups, samples_name
from aurac.harness.exchange.lm_eval_output import rank_folders
from aurac.harness.gold import NLL, PER_BYTE
from aurac.harness.model import hflm_engine
from aurac.harness.protocols import parse_tasks
from aurac.harness.scoring import score_adapter
from aurac.harness.suite import build_suite
from aurac.report.comparison import compare
from aurac.results import Run, load
from records_by_hand import make_cell, write
from tolerance import assert_near

RANKS = (2, 8)
KINDS = ("pooled", "binary", "spell", "prose", "ending", "hits")
OURS = (NLL, PER_BYTE)
ADAPTER = {"method": "lora"}
CONFIG = {"model": "hf", "model_args": "pretrained=me/base,peft=x", "limit": 5}


def run_lm_eval(model: Any, tokenizer: Any, task_folder: Path, tasks: list[str], out: Path) -> None:
    """Do what `lm_eval --log_samples --output_path` does."""
    tracker = EvaluationTracker(output_path=str(out))
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4, softmax_dtype="float32")
    manager = TaskManager(include_path=str(task_folder), include_defaults=False)
    results = lm_eval.simple_evaluate(
        lm, tasks=tasks, task_manager=manager, bootstrap_iters=0, evaluation_tracker=tracker, log_samples=True
    )
    assert results is not None
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for task in results["configs"]:
        tracker.save_results_samples(task_name=task, samples=samples[task])


@pytest.fixture(scope="module")
def written(
    base_folder: Path, task_folder: Path, tokenizer: Any, zeroed_rows: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Run]:
    """lm-eval's output at two ranks, and our own record of the same."""
    torch.manual_seed(3)
    config = LoraConfig(r=8, lora_alpha=8, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    model = get_peft_model(LlamaForCausalLM.from_pretrained(base_folder), config).eval()
    adapter = zeroed_rows(model, 8)
    out = tmp_path_factory.mktemp("lm-eval")
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda _: None)  # calls pip and git, for seconds
    for rank in RANKS:
        adapter.set_rank(rank)
        run_lm_eval(adapter.model, tokenizer, task_folder, list(KINDS), out / f"rank-{rank}")
    monkeypatch.undo()
    suite = build_suite(parse_tasks(KINDS), include_path=task_folder, progress=False)
    own = score_adapter(
        lambda: (hflm_engine(adapter.model, tokenizer, batch_size=4), adapter),
        suite,
        out=tmp_path_factory.mktemp("own") / "run",
        identity={"adapter": {"method": "lora", "max_rank": 8}},
        ranks=RANKS,
        progress=False,
    )
    assert own is not None
    return out, own


def folders(parent: Path) -> dict[int, Path]:
    return {rank: parent / f"rank-{rank}" for rank in RANKS}


@pytest.fixture(scope="module")
def imported(written: tuple[Path, Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return import_lm_eval(folders(written[0]), out=tmp_path_factory.mktemp("imported") / "theirs", adapter=ADAPTER)


def test_every_task_and_group_has_the_rows_settings_and_curves_of_our_own_sweep(
    imported: Run, written: tuple[Path, Run]
) -> None:
    own = written[1]
    for task, settings in own.record["tasks"].items():
        theirs = {name: about for name, about in settings["metrics"].items() if name not in OURS}
        if task == "hits":  # lm-eval writes a function down as its source
            theirs = imported.record["tasks"][task]["metrics"]
        assert imported.record["tasks"][task] == settings | {"metrics": theirs}
    group = own.record["groups"]["pooled"]
    filters = {"metrics": {"acc": {"weight_by_size": True, "filters": ["none"]}}}  # by name, where ours says "all"
    assert imported.record["groups"]["pooled"] == group | filters
    assert imported._content is not None
    assert own._content is not None
    assert imported._content.cells.keys() == own._content.cells.keys()
    for key, cell in own._content.cells.items():
        other = imported._content.cells[key]
        metrics = {key: value for key, value in cell.entry["metrics"].items() if key.partition(",")[0] not in OURS}
        assert other.entry["metrics"] == pytest.approx(metrics, rel=1e-6)
        rows = cell.rows.filter([name not in OURS for name in cell.rows["metric"].to_pylist()])
        ours, theirs = rows.to_pydict(), other.rows.to_pydict()
        assert {name: theirs[name] for name in ("doc_hash", "prompt_hash", "metric", "filter")} == {
            name: ours[name] for name in ("doc_hash", "prompt_hash", "metric", "filter")
        }
        for name in ("score", "weight"):
            # Both are sums of float32, in the orders of two batches.
            np.testing.assert_allclose(numbers(theirs[name]), numbers(ours[name]), rtol=1e-5, atol=1e-9)


def numbers(column: list[float | None]) -> Any:
    return np.array([np.nan if value is None else value for value in column])


def test_documents_that_share_a_field_are_kept_as_the_sweep_keeps_them(
    written: tuple[Path, Run], tmp_path: Path
) -> None:
    first = next((written[0] / "rank-2").rglob("samples_binary_*.jsonl"))
    rows = [json.loads(line)["doc"] for line in first.read_text(encoding="utf-8").splitlines()]
    field = next(name for name in rows[0] if 1 < len({str(row[name]) for row in rows}) < len(rows))
    asked: dict[str, Any] = {"adapter": ADAPTER, "requests": parse_tasks("binary"), "cluster": field}
    found = import_lm_eval(folders(written[0]), out=tmp_path / "theirs", **asked)
    clusters = found.record["tasks"]["binary"]["clusters"]
    assert clusters["field"] == field
    assert len(set(clusters["labels"])) == len({str(row[field]) for row in rows})
    assert found.curve("binary").clusters is not None


def test_an_imported_run_is_joined_with_our_own_document_by_document(imported: Run, written: tuple[Path, Run]) -> None:
    made = compare([written[1], imported], tasks=["pooled", "spell"])
    difference = made.results[imported.name, "pooled"].difference
    assert difference is not None
    assert (difference.value, difference.n_documents) == (0.0, 30)


def test_how_lm_eval_averaged_a_group_follows_from_its_numbers(written: tuple[Path, Run], tmp_path: Path) -> None:
    parent = copytree(written[0], tmp_path / "lm-eval")

    def over_tasks(content: dict[str, Any]) -> None:
        tasks = [content["results"][task]["acc,none"] for task in ("colours", "few")]
        content["groups"]["pooled"]["acc,none"] = sum(tasks) / 2

    for folder in folders(parent).values():
        edit_results(folder, over_tasks)
    run = import_lm_eval(folders(parent), out=tmp_path / "run", adapter=ADAPTER, requests=parse_tasks("pooled"))
    assert run.tasks == ("pooled",)
    assert run.record["groups"]["pooled"]["metrics"]["acc"]["weight_by_size"] is False
    content = json.loads(the_file(parent / "rank-2", "results_*.json").read_text())
    assert run.curve("pooled").accuracy_at(2) == pytest.approx(content["groups"]["pooled"]["acc,none"])


def test_tasks_metrics_and_shots_are_asked_for_as_in_a_sweep(written: tuple[Path, Run], tmp_path: Path) -> None:
    asked = parse_tasks("spell@1:exact_match:whole,prose:byte_perplexity")
    run = import_lm_eval(folders(written[0]), out=tmp_path / "run", adapter=ADAPTER, requests=asked)
    assert run.tasks == ("spell", "prose")
    assert run.curve("prose").metric == "log_byte_perplexity"


@pytest.mark.parametrize(
    ("tasks", "error", "message"),
    [
        ("spel", UnknownNameError, r"unknown task in the output of lm_eval 'spel'. Did you mean 'spell'"),
        ("spell:acc", UnknownNameError, r"unknown metric 'acc' of task 'spell'. Known: exact_match"),
        ("spell:exact_match:hole", UnknownNameError, r"unknown filter 'hole' of task 'spell'. Did you mean 'whole'"),
        ("spell@5", RecordError, r"lm_eval ran spell with 1 shots at rank 2, and 5 are asked for. Ask for spell@1"),
    ],
)
def test_what_lm_eval_did_not_run_is_not_imported(
    tasks: str, error: type[AuracError], message: str, written: tuple[Path, Run], tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        import_lm_eval(folders(written[0]), out=tmp_path / "run", adapter=ADAPTER, requests=parse_tasks(tasks))
    assert not (tmp_path / "run").exists()


def the_file(folder: Path, pattern: str) -> Path:
    (found,) = folder.rglob(pattern)
    return found


def edit_results(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = the_file(folder, "results_*.json")
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def edit_line(folder: Path, number: int, change: Callable[[dict[str, Any]], object]) -> None:
    file = the_file(folder, "samples_spell_*.jsonl")
    lines = file.read_text().splitlines(keepends=True)
    sample = json.loads(lines[number - 1])
    change(sample)
    lines[number - 1] = json.dumps(sample) + "\n"
    file.write_text("".join(lines))


def drop_line(folder: Path) -> None:
    file = the_file(folder, "samples_spell_*.jsonl")
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))


def cut(folder: Path) -> None:
    file = the_file(folder, "samples_spell_*.jsonl")
    file.write_text(file.read_text()[:-20])


def append(folder: Path) -> None:
    file = the_file(folder, "samples_spell_*.jsonl")
    file.write_text(file.read_text() * 2)


def second_call(folder: Path) -> None:
    file = the_file(folder, "results_*.json")
    (file.parent / "results_2020.json").write_text(file.read_text())


def rename_task(folder: Path, task: str, name: str) -> None:
    """Call a task otherwise at every rank."""

    def change(content: dict[str, Any]) -> None:
        for part in ("results", "configs", "versions", "n-shot", "n-samples"):
            content[part][name] = content[part].pop(task)

    for rank in folders(folder.parent).values():
        edit_results(rank, change)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (rmtree, r"rank 8: there is no folder .*rank-8\. Give a folder that lm_eval wrote"),
    "a file": (
        lambda folder: (rmtree(folder), folder.touch()),
        r"rank 8: .*rank-8 is a file\. Give a folder that lm_eval wrote",
    ),
    "an empty folder": (
        lambda folder: (rmtree(folder), folder.mkdir()),
        r"rank 8: .*rank-8 holds no results_\*.json",
    ),
    "no samples": (
        lambda folder: the_file(folder, "samples_spell_*").unlink(),
        r"rank 8: there is no .*samples_spell_.*jsonl.*Run lm_eval again with --log_samples",
    ),
    "cut": (cut, r"samples_spell_.*jsonl, line 48 \(rank 8\) is no sample of lm-eval: JSONDecodeError"),
    "one missing": (drop_line, r"samples_spell_.*\(rank 8\) is incomplete: 24 under letter, 23 under whole of 24"),
    "appended": (append, r"line 49 \(rank 8\): document 0 occurs twice. Two calls of lm_eval"),
    "no hash": (
        lambda folder: edit_line(folder, 3, lambda sample: sample.pop("doc_hash")),
        r"line 3 \(rank 8\) has no doc_hash, by which documents are matched .* old versions of lm-eval wrote none. Run",
    ),
    "no hashes at all": (
        lambda folder: edit_line(folder, 1, lambda sample: [sample.pop(key) for key in ("doc_hash", "prompt_hash")]),
        r"line 1 \(rank 8\) has no doc_hash and no prompt_hash, by which documents are matched",
    ),
    "predictions of choices only": (
        lambda folder: edit_results(folder, lambda content: content["results"].update(spell={"alias": "spell"})),
        r"rank 8: .*results_.* has predictions of spell and no scores, as lm_eval --predict_only writes them. Run it",
    ),
    "predictions of texts only": (
        lambda folder: edit_results(folder, lambda content: content["results"].update(spell={"bypass,none": 999})),
        r"rank 8: .*results_.* has predictions of spell and no scores, as lm_eval --predict_only writes them. Run it",
    ),
    "no value": (
        lambda folder: edit_line(folder, 3, lambda sample: sample.pop("exact_match")),
        r"line 3 \(rank 8\) .* exact_match has no value",
    ),
    "other score": (
        lambda folder: edit_line(folder, 3, lambda sample: sample.update(exact_match=7.0)),
        r"rank 8: exact_match,letter of spell is .* by its samples. One of the files was changed",
    ),
    "other prompt": (
        lambda folder: edit_line(folder, 3, lambda sample: sample.update(prompt_hash="x")),
        r"spell has other documents or prompts at rank 8 than at rank 2, the first at document 2",
    ),
    "not JSON": (
        lambda folder: the_file(folder, "results_*").write_text("{"),
        r"rank 8: .*results_.*json is damaged, not JSON",
    ),
    "another file": (
        lambda folder: edit_results(folder, lambda content: content.pop("configs")),
        r"rank 8: .* is no results file of lm-eval 0.4: configs missing",
    ),
    "another seed": (
        lambda folder: edit_results(folder, lambda content: content["config"].update(fewshot_seed=1)),
        r"fewshot_seed is 1234 at rank 2 and 1 at rank 8",
    ),
    "another version": (
        lambda folder: edit_results(folder, lambda content: content["versions"].update(spell=9)),
        r"spell: versions is 2.0 at rank 2 and 9 at rank 8",
    ),
    "a task less": (
        lambda folder: edit_results(folder, lambda content: content["results"].pop("spell")),
        r"lm_eval did not run spell at rank 8",
    ),
    "a group with a task less": (
        lambda folder: edit_results(folder, lambda content: content["results"].pop("colours")),
        r"lm_eval did not run colours at rank 8",
    ),
    "a value less": (
        lambda folder: edit_results(folder, lambda content: content["results"]["spell"].pop("exact_match,whole")),
        r"rank 8: .*results_.* has no exact_match,whole of spell, which its samples have",
    ),
    "a task that no file can be called by": (
        lambda folder: rename_task(folder, "spell", "../spell"),
        r"the task '\.\./spell' cannot be part of a file's name .* Leave it out with --tasks\.",
    ),
    "a group in itself": (
        lambda folder: edit_results(folder, lambda c: c["group_subtasks"].update(pooled=["a"], a=["b"], b=["pooled"])),
        r"rank 8: .*results_.* its groups hold each other in a circle \('\w+' in '\w+' in '\w+' in '\w+'\)",
    ),
    "groups without lists": (
        lambda folder: edit_results(folder, lambda content: content["group_subtasks"].update(pooled={"a": 1})),
        r"rank 8: .*results_.* group_subtasks is no list of names for each group",
    ),
    "two calls": (second_call, r"rank 8: .* is in .*results_2020.json and in .*Leave one call of lm_eval"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_an_error_that_names_file_and_rank_and_nothing_is_written(
    damage: str, written: tuple[Path, Run], tmp_path: Path
) -> None:
    parent = copytree(written[0], tmp_path / "lm-eval")
    change, message = DAMAGE[damage]
    change(parent / "rank-8")
    with pytest.raises(RecordError, match=message):
        import_lm_eval(folders(parent), out=tmp_path / "run", adapter=ADAPTER)
    assert not (tmp_path / "run").exists()


def test_an_aggregation_that_is_not_said_is_that_of_lm_eval(written: tuple[Path, Run], tmp_path: Path) -> None:
    parent = copytree(written[0], tmp_path / "lm-eval")
    for folder in folders(parent).values():
        edit_results(folder, lambda content: [e.pop("aggregation") for e in content["configs"]["prose"]["metric_list"]])
    run = import_lm_eval(folders(parent), out=tmp_path / "run", adapter=ADAPTER, requests=parse_tasks("prose"))
    assert run.curve("prose").scores is not None
    assert run.record["tasks"]["prose"]["metrics"] == written[1].record["tasks"]["prose"]["metrics"]


def test_the_identity_names_what_lm_eval_ran_with(written: tuple[Path, Run], tmp_path: Path) -> None:
    parent = copytree(written[0], tmp_path / "lm-eval")
    said = {"chat_template_sha": "ab", "system_instruction": "Be brief.", "fewshot_as_multiturn": True}
    for folder in folders(parent).values():
        edit_results(folder, lambda content: content.update(said))
        named = CONFIG | {"model_args": f"pretrained=me/base,peft={folder.name}"}
        edit_results(folder, lambda content, named=named: content["config"].update(named))
    run = import_lm_eval(folders(parent), out=tmp_path / "run", adapter=ADAPTER, requests=parse_tasks("prose"))
    assert run.record["identity"] == {
        "adapter": ADAPTER,
        "base": {"name_or_path": "me/base"},
        "dtype": "float32",
        "engine": "lm-eval hf",
        "fewshot_seed": 1234,
        "limit": 5,
        "chat_template_sha256": "ab",
        "system_instruction": "Be brief.",
        "fewshot_as_multiturn": True,
    }
    assert [entry["rank"] for entry in run.record["imported"]["results"]] == list(RANKS)
    assert {cell["seconds"] for cell in run.record["cells"]} == {None}


def test_an_output_path_that_ends_in_json_is_read_too(written: tuple[Path, Run], tmp_path: Path) -> None:
    parent = copytree(written[0], tmp_path / "lm-eval")
    for folder in folders(parent).values():
        file = the_file(folder, "results_*.json")
        file.rename(file.with_name(file.name.replace("results_", "mine_")))
    run = import_lm_eval(folders(parent), out=tmp_path / "run", adapter=ADAPTER, requests=parse_tasks("prose"))
    assert run.tasks == ("prose",)


def test_merged_weights_need_the_name_of_their_base_model(written: tuple[Path, Run], tmp_path: Path) -> None:
    parent = copytree(written[0], tmp_path / "lm-eval")
    for rank, folder in folders(parent).items():
        edit_results(folder, lambda content, rank=rank: content["config"].update(model_args={"pretrained": f"r{rank}"}))
    options: dict[str, Any] = {"out": tmp_path / "run", "adapter": ADAPTER, "requests": parse_tasks("prose")}
    with pytest.raises(RecordError, match=r"base model is 'r2' at rank 2 and 'r8' .* name their base model"):
        import_lm_eval(folders(parent), **options)
    run = import_lm_eval(folders(parent), base="me/base", **options)
    assert run.record["identity"]["base"] == {"name_or_path": "me/base"}


SAME = [
    ("pretrained=me/base,peft=slices/rank-8,batch_size=1", "pretrained=me/base,peft=./slices/rank-8/,batch_size=8"),
    ({"pretrained": "me/base", "peft": "a"}, {"pretrained": "me/base", "peft": "a", "device": "cpu"}),
    ("pretrained=merged", "pretrained=merged,dtype=float32"),
    ("model=me,base_url=http://here", "model=me,base_url=http://here,num_concurrent=4"),
    ("pretrained=me/base,lora_local_path=a,max_lora_rank=64", "pretrained=me/base,lora_local_path=a,max_lora_rank=64"),
]
OTHER = [
    ("pretrained=me/base,peft=a", "pretrained=me/base,peft=b"),
    ("pretrained=me/base,peft=a,subfolder=r2", "pretrained=me/base,peft=a,subfolder=r8"),
    ("model=me,base_url=http://here", "model=me,base_url=http://there"),
    ("model=me-r2,base_url=http://here", "model=me-r8,base_url=http://here"),
    (None, None),
]


def with_arguments(parent: Path, arguments: tuple[Any, Any]) -> Path:
    for folder, given in zip(folders(parent).values(), arguments, strict=True):
        edit_results(folder, lambda content, given=given: content["config"].update(model_args=given))
    return parent


@pytest.mark.parametrize("arguments", SAME, ids=str)
def test_two_ranks_of_the_same_weights_are_an_error(
    arguments: tuple[Any, Any], written: tuple[Path, Run], tmp_path: Path
) -> None:
    parent = with_arguments(copytree(written[0], tmp_path / "lm-eval"), arguments)
    with pytest.raises(RecordError, match=r"rank 2 and rank 8 are results of the same weights, .* Give each rank the"):
        import_lm_eval(folders(parent), out=tmp_path / "run", adapter=ADAPTER)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("arguments", OTHER, ids=str)
def test_ranks_of_other_weights_or_of_none_that_are_named_are_imported(
    arguments: tuple[Any, Any], written: tuple[Path, Run], tmp_path: Path
) -> None:
    parent = with_arguments(copytree(written[0], tmp_path / "lm-eval"), arguments)
    options: dict[str, Any] = {"out": tmp_path / "run", "adapter": ADAPTER, "requests": parse_tasks("prose")}
    assert import_lm_eval(folders(parent), base="me/base", **options).ranks == RANKS


def test_ranks_of_numpy_name_folders_and_fractions_none(written: tuple[Path, Run], tmp_path: Path) -> None:
    options: dict[str, Any] = {"adapter": ADAPTER, "requests": parse_tasks("prose")}
    given = {np.int64(rank): folder for rank, folder in folders(written[0]).items()}
    assert import_lm_eval(given, out=tmp_path / "run", **options).ranks == RANKS
    for rank in (1.5, 0, True, "8"):
        with pytest.raises(RecordError, match=r"is no whole number from 1. Name each folder by the rank"):
            import_lm_eval({rank: written[0] / "rank-2"}, out=tmp_path / "other", **options)


def test_results_beside_the_ranks_are_named_and_not_left_out_without_a_word(tmp_path: Path) -> None:
    for name in ("r8", "r16_rerun/model", "base", "notes", "r0"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("r8", "r16_rerun/model", "base", "r0"):
        (tmp_path / name / "results_2026-01-01T00-00-00.json").touch()
    (tmp_path / "results_2026-01-01T00-00-00.json").touch()
    said = r"not imported: base, r0, r16_rerun, results_2026-01-01T00-00-00.json in .*To import .* --rank R=DIR"
    with pytest.warns(UserWarning, match=said):
        assert rank_folders(tmp_path) == {8: tmp_path / "r8"}
    rmtree(tmp_path / "r8")
    with pytest.raises(RecordError, match=r"has no folder called rank-4 or r4, but results in base, r0, r16_rerun"):
        rank_folders(tmp_path)


def test_a_record_is_never_written_over(imported: Run, written: tuple[Path, Run]) -> None:
    assert imported.path is not None
    with pytest.raises(RecordError, match=r"holds a run record already. Give another folder with --out"):
        import_lm_eval(folders(written[0]), out=imported.path, adapter=ADAPTER)
    assert load(imported.path).tasks == imported.tasks


def test_folders_are_found_by_their_rank(tmp_path: Path) -> None:
    for name in ("rank-16", "r4", "Rank_2", "rank", "results", "x4"):
        (tmp_path / name).mkdir()
    assert rank_folders(tmp_path) == {2: tmp_path / "Rank_2", 4: tmp_path / "r4", 16: tmp_path / "rank-16"}
    (tmp_path / "rank-4").mkdir()
    with pytest.raises(RecordError, match=r"has two folders of rank 4: r4 and rank-4"):
        rank_folders(tmp_path)
    with pytest.raises(RecordError, match=r"has no folder called rank-4 or r4"):
        rank_folders(tmp_path / "rank")
    with pytest.raises(RecordError, match=r"no such folder: .*nowhere"):
        rank_folders(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match=r"file is a file\. Give a folder with one child a rank"):
        rank_folders(tmp_path / "file")


@pytest.mark.parametrize("task", ["", "a/b", "../a", "a\0b", "a" * 300, "\ud800"], ids=ascii)
def test_a_task_that_no_file_can_be_called_by_has_no_samples_file(task: str) -> None:
    with pytest.raises(RecordError, match=r"cannot be part of a file's name .* half a character\. Do this\."):
        samples_name(task, "2026-01-01T00-00-00", advice="Do this.")
    assert samples_name("mmlu..é", "x", advice="") == "samples_mmlu..é_x.jsonl"


def test_a_record_whose_task_no_file_can_be_called_by_is_not_exported_for_lm_eval(tmp_path: Path) -> None:
    run = load(write(tmp_path / "run", [make_cell("a/b", 1, [1, 0]), make_cell("a/b", 2, [1, 1])]))
    with pytest.raises(RecordError, match=r"the task 'a/b' cannot be .* Export it with --format parquet or csv\."):
        write_lm_eval(run, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_groups_may_be_deep_and_share_their_tasks() -> None:
    deep = {f"g{n}": [f"g{n + 1}", f"g{n + 1}", "a"] for n in range(5000)} | {"g5000": ["b"]}
    check_groups(1, Path("x"), {"group_subtasks": deep, "configs": {"a": {}, "b": {}}})
    found = below("g0", deep, {"a", "b"})
    assert (found[:2], len(found), found[-2:]) == (["g1", "g2"], 5002, ["b", "a"])


def test_a_record_that_was_exported_for_lm_eval_is_imported_as_it_was(
    written: tuple[Path, Run], tmp_path: Path
) -> None:
    own = written[1]
    write_lm_eval(own, tmp_path / "exported")
    again = import_lm_eval(rank_folders(tmp_path / "exported"), out=tmp_path / "again", adapter=ADAPTER)
    assert again.tasks == own.tasks
    for task in own.tasks:
        ours, theirs = own.curve(task), again.curve(task)
        assert ours.documents == theirs.documents
        np.testing.assert_allclose(theirs.accuracies, ours.accuracies, rtol=1e-12)
        if ours.scores is not None:
            assert_near(theirs.scores, ours.scores)


def test_exported_results_are_those_of_lm_eval_with_their_standard_errors(
    written: tuple[Path, Run], tmp_path: Path
) -> None:
    write_lm_eval(written[1], tmp_path / "exported")
    for rank in RANKS:
        ours, theirs = (
            json.loads(the_file(folder / f"rank-{rank}", "results_*.json").read_text())
            for folder in (tmp_path / "exported", written[0])
        )
        assert reported(ours["groups"]["pooled"]) == pytest.approx(reported(theirs["groups"]["pooled"]))
        for task in ("colours", "spell", "prose"):
            own = reported(ours["results"][task])
            known = {key: value for key, value in own.items() if key.partition(",")[0] not in OURS}
            assert known == pytest.approx(reported(theirs["results"][task]), rel=1e-6)
    score = np.array([row["acc"] for row in samples_of(tmp_path / "exported" / "rank-2", "colours")])
    found = json.loads(the_file(tmp_path / "exported" / "rank-2", "results_*.json").read_text())["results"]["colours"]
    assert found["acc_stderr,none"] == pytest.approx(score.std(ddof=1) / len(score) ** 0.5)
    assert found["acc,none"] == score.mean()


def samples_of(folder: Path, task: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in the_file(folder, f"samples_{task}_*.jsonl").read_text().splitlines()]
