"""Numeric paths: a run that left the fast one says so, and runs that took different ones are told apart in a note."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aurac.analysis.numeric_path import numeric_path
from aurac.report.comparison import compare
from aurac.report.formats import FORMATS
from aurac.results import Run, load
from runs_by_hand import RANKS, curve

RESULTS = Path(__file__).parents[2] / "results"
FAST = {"requests": 40, "fallback": None, "fallback_requests": 0, "fallback_rows": None, "seconds": {}}
SAMPLING = "generation by sampling"
HFLM = FAST | {"fallback": SAMPLING, "fallback_requests": 40, "fallback_rows": 16, "seconds": {"fallback": 1.0}}
READ = {"tokens_forwarded": 300, "distinct_prefix_tokens": 120}
ALONE = FAST | {"fallback": "ALiBi position biases", "fallback_requests": 40}
SOME = FAST | {"fallback": "a sliding window of 512 tokens", "fallback_requests": 3}
Make = Callable[..., Run]


@pytest.fixture
def measured(make_run: Make) -> Make:
    """A run on "arc" whose record says how it was measured."""

    def make(
        name: str, work: Any = FAST, *, output_type: str = "multiple_choice", task: str = "arc", **facts: Any
    ) -> Run:
        run = make_run(name, curve(task, len(name)))
        record = {"merged": facts.pop("merged", True), **{k: facts.pop(k) for k in ("imported",) if k in facts}}
        identity = {"engine": "aurac", "dtype": "float32", **run.record["identity"], **facts}
        works = work if isinstance(work, list) else [work] * len(RANKS)
        cells = [{"task": task, "rank": r, "status": "done", "work": w} for r, w in zip(RANKS, works, strict=True)]
        return replace(
            run, record={**record, "identity": identity, "cells": cells, "tasks": {task: {"output_type": output_type}}}
        )

    return make


def about_paths(*runs: Run) -> list[str]:
    return [note for note in compare(runs).notes if "Slower path" in note or "numeric paths" in note]


SLOWER = {
    "not said where all prefixes are shared": (FAST, "multiple_choice", []),
    "choices by HFLM": (
        HFLM, "multiple_choice",
        [f"Slower path on arc: {SAMPLING}. Answered by HFLM's own code, 16 requests at a time. It took 4 s in all."],
    ),
    "texts by HFLM depend on its padding": (
        HFLM, "generate_until",
        [f"Slower path on arc: {SAMPLING}. Answered by HFLM's own code, 16 requests at a time. "
         "Texts there depend on HFLM's padding with batch size 16. It took 4 s in all."],
    ),
    "texts of a record that lacks the batch size": (
        {key: value for key, value in HFLM.items() if key != "fallback_rows"}, "generate_until",
        [f"Slower path on arc: {SAMPLING}. Answered by HFLM's own code. "
         "Texts there depend on HFLM's padding; the record lacks its batch size. It took 4 s in all."],
    ),
    "no shared prefixes": (
        ALONE, "multiple_choice",
        ["Slower path on arc: ALiBi position biases. Forwarded each input on its own."],
    ),
    "no shared prefixes, and how many tokens that read": (
        ALONE | READ, "multiple_choice",
        ["Slower path on arc: ALiBi position biases. Forwarded each input on its own. "
         "That read 2.5 times the tokens that shared prefixes need."],  # 300 / 120 at every rank
    ),
    "a few long requests": (
        SOME, "multiple_choice",
        ["Slower path on arc (some requests): a sliding window of 512 tokens. Forwarded each input on its own."],
    ),
    "one rank of four": (
        [FAST, FAST, HFLM, FAST], "multiple_choice",
        [f"Slower path on arc (some requests): {SAMPLING}. Answered by HFLM's own code, 16 requests at a time. "
         "It took 1 s in all."],
    ),
    "a record without work": (None, "multiple_choice", []),
    "a record from before fallbacks were counted": ({"requests": 40}, "multiple_choice", []),
}  # fmt: skip


@pytest.mark.parametrize("case", SLOWER)
def test_a_table_of_one_run_says_which_task_took_a_slower_path_and_why(case: str, measured: Make) -> None:
    work, output_type, expected = SLOWER[case]
    assert about_paths(measured("lora", work, output_type=output_type)) == expected


def test_a_table_of_one_run_says_where_memory_ran_out_and_prompts_were_cut(measured: Make) -> None:
    """What was warned of during the sweep scrolled away."""
    notes = " ".join(compare([measured("lora", [FAST | {"backed_off": 1, "truncated": 3}, FAST, FAST, FAST])]).notes)
    assert "Memory ran out on arc: batches were halved (1 ×). A smaller --batch-size from the start" in notes
    assert "Prompts that do not fit the model's window lost their beginning: requests on arc (3 of 160)." in notes


START = "The runs took different numeric paths. "
END = ". They round differently, so a small difference need not be the adapters'."
PADDING = " Texts that HFLM's own code generates depend on its padding, and so on the number of requests at a time."
DIFFERENT = {
    "dtype": ({}, {"dtype": "bfloat16"}, "dtype: float32 for a, bfloat16 for bb"),
    "merged": ({}, {"merged": False}, "ranks merged into the base weights: yes for a, no for bb"),
    "engine": ({}, {"engine": "hflm", "work": None}, "engine: aurac for a, hflm for bb"),
    "fallback": (
        {}, {"work": HFLM}, f"arc: shared prefixes for a, HFLM's own code ({SAMPLING}, 16 requests at a time) for bb"
    ),
    "sharing": (
        {"work": ALONE}, {}, "arc: each input on its own (ALiBi position biases) for a, shared prefixes for bb"
    ),
    "two at once": (
        {"merged": False}, {"dtype": "bfloat16"},
        "dtype: float32 for a, bfloat16 for bb; ranks merged into the base weights: no for a, yes for bb",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", DIFFERENT)
def test_a_note_names_the_runs_and_in_what_their_numeric_paths_differ(what: str, measured: Make) -> None:
    first, second, expected = DIFFERENT[what]
    assert about_paths(measured("a", **first), measured("bb", **second)) == [START + expected + END]


def test_another_batch_size_of_hflm_is_another_path_only_where_texts_are_generated(measured: Make) -> None:
    works = (HFLM, HFLM | {"fallback_rows": 8})
    assert about_paths(*(measured(name, work) for name, work in zip(("a", "bb"), works, strict=True))) == []
    texts = [measured(name, work, output_type="generate_until") for name, work in zip(("a", "bb"), works, strict=True)]
    said = ", ".join(
        f"HFLM's own code ({SAMPLING}, {rows} request{'s' if rows > 1 else ''} at a time) for {name}"
        for rows, name in ((16, "a"), (8, "bb"))
    )
    assert about_paths(*texts) == [f"{START}arc: {said}{END}{PADDING}"]


@pytest.mark.parametrize("facts", [{}, {"work": HFLM}, {"dtype": "bfloat16"}, {"merged": False}], ids=str)
def test_equal_paths_say_nothing(facts: dict[str, Any], measured: Make) -> None:
    assert about_paths(measured("a", **facts), measured("bb", **facts)) == []


def test_another_reason_for_the_same_path_says_nothing(measured: Make) -> None:
    assert about_paths(measured("a", ALONE), measured("bb", ALONE | {"fallback": "it differs by 0.7 nats"})) == []


@pytest.mark.parametrize(
    "unknown",
    [
        {"imported": {}, "engine": "lm-eval hf", "dtype": "bfloat16", "work": HFLM, "merged": False},
        {"engine": None, "dtype": None, "merged": None, "work": None},
        {"merged": None, "work": {"requests": 40}},
    ],
    ids=["imported", "a record without the facts", "an old record"],
)
def test_what_a_record_does_not_say_is_not_compared(unknown: dict[str, Any], measured: Make) -> None:
    assert about_paths(measured("a"), measured("bb", **unknown)) == []


def test_many_runs_are_counted_and_not_all_named(measured: Make) -> None:
    runs = [measured("x" * k, dtype="bfloat16" if k == 1 else "float32") for k in range(1, 9)]
    named = "xx and xxx and xxxx and xxxxx and 3 others"
    assert about_paths(*runs) == [f"{START}dtype: bfloat16 for x, float32 for {named}{END}"]


def test_a_group_took_the_paths_of_its_members(measured: Make) -> None:
    run = measured("lora", HFLM)
    record = {
        **run.record,
        "asked": {"arc": {"task": "both"}},
        "groups": {"both": {"members": ["one", "two"]}},
        "cells": [
            {"task": task, "rank": 1, "status": "done", "work": work}
            for task, work in (("one", FAST), ("two", ALONE), ("arc", HFLM))
        ],
    }
    assert [a.way for a in numeric_path(replace(run, record=record)).tasks["arc"]] == ["shared", "alone"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_for_people_has_the_note_and_json_has_it_too(name: str, measured: Make) -> None:
    text = compare([measured("a"), measured("bb", dtype="bfloat16")]).render(name)
    if name == "json":
        assert any("bfloat16 for bb" in note for note in json.loads(text)["notes"])
    elif name != "csv":
        assert "bfloat16 for bb" in " ".join(text.split())


def test_the_short_table_has_the_note(measured: Make) -> None:
    made = compare([measured("a"), measured("bb", merged=False)])
    assert "weights: yes for a, no for bb" in " ".join(made.summary().render("markdown").split())


@pytest.mark.slow
def test_the_committed_records_were_all_made_alike() -> None:
    for suite in ("testbed", "testbed-benchmark"):
        runs = [load(path.parent) for path in sorted((RESULTS / suite).glob("*/run.json"))]
        assert {numeric_path(run).dtype for run in runs} == {"float32"}
        assert about_paths(*runs) == []


def test_versions_of_the_program_behind_one_engine_are_told_apart(measured: Make) -> None:
    runs = [measured(name, engine="server", dtype="as served", merged=None) for name in ("one", "two")]
    served = [
        replace(run, record={**run.record, "engine": {"software": software}})
        for run, software in zip(runs, ("vllm 0.32.0", "vllm 0.33.0"), strict=True)
    ]
    (note,) = about_paths(*served)
    assert "program behind the engine: vllm 0.32.0 for one, vllm 0.33.0 for two" in note
    assert about_paths(served[0], replace(served[0], name="again")) == []
