"""Folders of lm-eval that are damaged, or belong to other tasks or weights than they are given for, are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import pytest

from aurac.errors import AuracError, RecordError, UnknownNameError
from aurac.harness.exchange.importing import import_lm_eval
from aurac.harness.protocols import parse_tasks
from aurac.results import Run
from lm_eval_folders import ADAPTER, RANKS, edit_results, folders, the_file


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
