"""The text of `--tasks`, and what it becomes."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from aurac.errors import TaskError, UnknownNameError
from aurac.harness.protocols import TaskRequest, parse_tasks
from aurac.harness.suite import Suite, build_suite


@pytest.mark.parametrize(
    ("item", "request_"),
    [
        ("arc", TaskRequest("arc", "arc_challenge", 25, "acc_norm")),
        ("arc@0", TaskRequest("arc", "arc_challenge", 0, "acc_norm")),
        ("arc:acc", TaskRequest("arc", "arc_challenge", 25, "acc")),
        ("hellaswag", TaskRequest("hellaswag", "hellaswag", 10, "acc_norm")),
        ("mmlu", TaskRequest("mmlu", "mmlu", 5, "acc")),
        ("winogrande", TaskRequest("winogrande", "winogrande", 5, "acc")),
        ("gsm8k", TaskRequest("gsm8k", "gsm8k", 8, "exact_match", "strict-match")),
        ("gsm8k:exact_match:flexible-extract", TaskRequest("gsm8k", "gsm8k", 8, "exact_match", "flexible-extract")),
        ("arc_challenge", TaskRequest("arc_challenge", "arc_challenge")),
        ("arc_challenge@0:acc", TaskRequest("arc_challenge", "arc_challenge", 0, "acc")),
        ("wikitext:bits_per_byte", TaskRequest("wikitext", "wikitext", None, "bits_per_byte")),
        ("humaneval:pass@1", TaskRequest("humaneval", "humaneval", None, "pass@1")),
    ],
)
def test_an_item_names_a_task_and_may_set_shots_metric_and_filter(item: str, request_: TaskRequest) -> None:
    assert parse_tasks(item) == (request_,)


def test_the_authors_protocol_reports_acc() -> None:
    requests = parse_tasks("arc, hellaswag,gsm8k", protocol="authors")
    assert [(r.num_fewshot, r.metric) for r in requests] == [(25, "acc"), (10, "acc"), (8, "exact_match")]
    with pytest.raises(UnknownNameError, match=r"unknown protocol 'author'\. Did you mean 'authors'\?"):
        parse_tasks("arc", protocol="author")


def test_a_request_prints_the_protocol_in_force() -> None:
    assert str(parse_tasks("gsm8k")[0]) == "gsm8k, 8-shot, exact_match (strict-match)"
    assert str(parse_tasks("xnli")[0]) == "xnli, shots of the task, metric of the task"


@pytest.mark.parametrize("item", ["", "arc@", "arc@two", "arc@-1", "arc:", ":acc", "arc@5@5"])
def test_what_cannot_be_read_is_quoted_with_the_form(item: str) -> None:
    with pytest.raises(TaskError, match=r"cannot read task '.*'\. Write task\[@shots\]\[:metric\[:filter\]\], such as"):
        parse_tasks(item)


def test_one_task_twice_is_refused() -> None:
    message = r"task 'arc_challenge' is asked for twice, as 'arc = arc_challenge, 25-shot, acc_norm' and as 'arc_"
    with pytest.raises(TaskError, match=message):
        parse_tasks("arc,arc_challenge@0")


def build(task_folder: Path, text: str, **options: object) -> Suite:
    return build_suite(parse_tasks(text), include_path=task_folder, progress=False, **options)  # type: ignore[arg-type]


def test_what_the_task_decides_is_filled_in(task_folder: Path) -> None:
    suite = build(task_folder, "colours,spell,prose,ending")
    assert [str(request) for request in suite.requests] == [
        "colours, 2-shot, acc",
        "spell, 1-shot, exact_match",
        "prose, 0-shot, bits_per_byte",
        "ending, 0-shot, acc",
    ]


def test_an_unknown_task_comes_with_near_names(task_folder: Path) -> None:
    message = r"unknown task 'colour'\. Did you mean 'colours'.*No file in .* \(--include-path\) has a task"
    with pytest.raises(UnknownNameError, match=message):
        build(task_folder, "colour")
    with pytest.raises(UnknownNameError, match=r"unknown task 'helaswag'\. Did you mean 'hellaswag'"):
        build(task_folder, "colours,helaswag")  # lm-eval's own names are known, and no model is needed
    with pytest.raises(UnknownNameError, match=r"unknown task 'arcc'\. Did you mean 'arc' or"):
        build(task_folder, "arcc")  # short names are known, too


def test_an_unknown_metric_or_filter_comes_with_those_of_the_task(task_folder: Path) -> None:
    known = r"unknown metric 'accuracy' of task 'colours'.*Known: acc, acc_norm, gold_nll, gold_nll_per_byte\."
    with pytest.raises(UnknownNameError, match=known):
        build(task_folder, "colours:accuracy")
    with pytest.raises(UnknownNameError, match=r"unknown filter 'first' of task 'spell'\. Known: letter, whole\."):
        build(task_folder, "spell:exact_match:first")
    with pytest.raises(UnknownNameError, match=r"unknown metric 'acc_norm' of task 'pooled'.*Known: acc[,.]"):
        build(task_folder, "pooled:acc_norm")


def test_data_out_of_reach_is_named_with_what_to_do(task_folder: Path) -> None:
    message = r"the data of task 'away' cannot be reached \(nobody/has-this-data\): .* Run once with network"
    with pytest.raises(TaskError, match=message):
        build(task_folder, "away")
    message = r"the data of task 'lost' cannot be read: Unable to find '.*no-such-file\.jsonl'\. Correct dataset_path"
    with pytest.raises(TaskError, match=message):
        build(task_folder, "lost")


def test_a_task_that_runs_code_needs_a_word(task_folder: Path) -> None:
    with pytest.raises(TaskError, match=r"task 'unsafe' runs code that the model wrote\. Allow it with --confirm-uns"):
        build(task_folder, "unsafe")
    assert build(task_folder, "unsafe", confirm_unsafe=True).leaves["unsafe"].n_requests == 6


def test_shots_that_a_task_fixes_or_lacks_are_refused(task_folder: Path) -> None:
    with pytest.raises(TaskError, match=r"task 'few' fixes its number of shots at 0, and 5 were asked for"):
        build(task_folder, "few@5")
    with pytest.raises(TaskError, match=r"the prompts of task 'colours' cannot be built with 100 shots: ValueError"):
        build(task_folder, "colours@100")


def test_a_limit_takes_the_first_documents(task_folder: Path) -> None:
    assert len(build(task_folder, "colours", limit=5).leaves["colours"].documents) == 5
    assert len(build(task_folder, "colours", limit=0.25).leaves["colours"].documents) == 6
    for limit in (0, -1, 1.5, float("nan"), float("inf")):
        with pytest.raises(
            TaskError, match=rf"limit is {limit}\. Give a number of documents from 1, or a fraction below 1"
        ):
            build(task_folder, "colours", limit=limit)


def test_a_group_is_one_request_and_a_tag_or_a_list_is_its_tasks(task_folder: Path) -> None:
    suite = build(task_folder, "pooled")
    assert [request.name for request in suite.requests] == ["pooled"]
    assert suite.groups["pooled"]["members"] == ["colours", "few"]
    assert [request.name for request in build(task_folder, "everything").requests] == ["colours", "spell"]
    assert [request.name for request in build(task_folder, "bundle").requests] == ["few", "spell"]


def test_one_task_in_two_groups_is_refused(task_folder: Path) -> None:
    with pytest.raises(TaskError, match=r"task 'colours' is asked for twice, the second time by 'macro'\."):
        build(task_folder, "pooled,macro")


def test_a_folder_of_tasks_must_exist(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"no such folder of tasks: .*nowhere\. Give a folder of lm-eval YAML files\."):
        build(tmp_path / "nowhere", "colours")


def test_building_leaves_the_global_generators_alone(task_folder: Path) -> None:
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    expected = random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    build(task_folder, "colours")
    assert (random.random(), np.random.random(), torch.rand(1).item()) == expected  # noqa: NPY002


def test_the_seed_and_the_order_of_tasks_decide_the_prompts_as_expected(task_folder: Path) -> None:
    def prompts(text: str, **options: object) -> list[str]:
        return [d.prompt_hash for d in build(task_folder, text, **options).leaves["colours"].documents]

    assert prompts("colours") == prompts("spell,colours")
    assert prompts("colours") != prompts("colours", fewshot_seed=7)


def test_building_prints_nothing(task_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    build(task_folder, "colours")
    assert capfd.readouterr() == ("", "")


def test_a_template_is_compiled_once_and_gives_the_text_of_lm_eval(task_folder: Path) -> None:
    from lm_eval.utils import apply_template, env

    build(task_folder, "colours")
    assert env.from_string("{{a}} of {{b}}\n") is env.from_string("{{a}} of {{b}}\n")
    plain = type(env).from_string(env, "{{a}} of {{b}}\n")  # as jinja itself compiles it
    assert apply_template("{{a}} of {{b}}\n", {"a": 1, "b": "x"}) == plain.render(a=1, b="x") == "1 of x\n"
