"""What the training of a curve took, beside its score."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from aurac.analysis.spent import training_tokens
from aurac.report.comparison import compare
from aurac.report.numbers import count_text
from aurac.results import Run
from runs_by_hand import curve


def run(name: str, seed: int, tokens: int | None, **adapter: Any) -> Run:
    record = {"identity": {"adapter": {"method": name, "seed": seed, "sidecar": True, **adapter}}}
    cost = {} if tokens is None else {"training_tokens": tokens}
    return Run(f"{name}-{seed}", None, record | cost, {"facts": curve("facts", seed)})


LORA, GRID = run("lora", 1, 36_000), run("grid", 2, 1_800_000)


def cells(text: str) -> list[str]:
    return [line.split("|")[-2].strip() for line in text.splitlines() if line.startswith("|")]


def test_a_comparison_has_the_training_tokens_of_every_curve() -> None:
    made = compare([LORA, GRID])
    table = made.render("markdown").split("**")[0]
    assert {"training tokens", "36.0k", "1.80M"} <= {*cells(made.render("markdown"))} | {*cells(table)}
    assert "of a grid all its ranks, of a rotated adapter what it was made from" in made.render("markdown")
    rows = {row["run"]: row for row in csv.DictReader(io.StringIO(made.to_csv()))}
    assert (rows["lora-1"]["training_tokens"], rows["grid-2"]["training_tokens"]) == ("36000", "1800000")
    assert {row["training_tokens"] for row in json.loads(made.to_json())["rows"]} == {36_000, 1_800_000}


def test_a_run_that_does_not_know_has_a_dash_and_where_none_knows_there_is_no_column() -> None:
    text = compare([LORA, run("foreign", 3, None)]).render("markdown")
    assert {"36.0k", "–"} <= {*cells(text)}
    without = compare([run("a", 1, None), run("b", 2, None)])
    assert "training tokens" not in without.render("markdown")
    assert "training_tokens" not in without.records()[0]


def test_a_narrow_terminal_leaves_the_column_out_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    text = compare([LORA, GRID]).summary().render("terminal")
    assert max(map(len, text.splitlines())) <= 72
    assert "training tokens" in " ".join(text.partition("Left out for want of width")[2].split())


def test_of_several_seeds_the_mean_counts_and_one_that_does_not_know_leaves_none() -> None:
    seeds = [run("lora", 1, 30), run("lora", 2, 40)]
    method = Run("lora", None, seeds[0].record, seeds[0].curves, seeds=tuple(seeds))
    assert training_tokens(method) == 35
    unknown = Run("lora", None, seeds[0].record, seeds[0].curves, seeds=(seeds[0], run("lora", 2, None)))
    assert training_tokens(unknown) is None


def test_a_single_run_says_it_in_a_line() -> None:
    assert "The training read 36.0k tokens." in compare([LORA]).render("markdown")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (1000, "1.00k"), (35_972, "36.0k"), (999_500, "1.00M"), (2.5e12, "2.50T")],
)
def test_large_numbers_have_three_digits_and_a_unit(count: float, text: str) -> None:
    assert count_text(count) == text
