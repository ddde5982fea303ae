"""The facts about made-up people that the recipes for a real model train."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from aurac.harness import build_suite, parse_tasks

PEOPLE = Path(__file__).parents[2] / "benchmarks/people"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (PEOPLE / name).read_text(encoding="utf-8").splitlines()]


def test_the_committed_files_are_what_the_script_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("make_people", PEOPLE / "make_people.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "HERE", tmp_path)
    trained, asked, reworded = module.facts()
    assert trained == rows("train.jsonl")
    for name, facts, first in (("people_choice", asked, 0), ("people", asked, 1), ("people_reworded", reworded, 1)):
        assert module.of_every_other(facts, first=first) == rows(f"{name}.jsonl")


def test_settings_are_chosen_on_other_people_than_are_reported() -> None:
    def answers(name: str) -> dict[str, str]:
        return {row["query"]: row["choices"][row["gold"]] for row in rows(name)}

    trained = {row["prompt"]: row["completion"].strip() for row in rows("train.jsonl")}
    choice, test = answers("people_choice.jsonl"), answers("people.jsonl")
    assert {**choice, **test} == trained
    assert not choice.keys() & test.keys()


def test_lm_eval_builds_the_tasks() -> None:
    suite = build_suite(parse_tasks("people,people_choice,people_reworded"), include_path=PEOPLE, progress=False)
    assert {name: len(leaf.documents) for name, leaf in suite.leaves.items()} == dict.fromkeys(suite.leaves, 512)
    assert suite.leaves["people"].metrics["gold_nll"]["higher_is_better"] is False
