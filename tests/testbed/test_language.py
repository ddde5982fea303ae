"""The made-up language that the recipe for a real model trains."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from aurac.harness import build_suite, parse_tasks

LANGUAGE = Path(__file__).parents[2] / "benchmarks/language"
ASKED = ("language_words", "language_grammar", "language_choice")


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("make_language", LANGUAGE / "make_language.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(script: Any) -> dict[str, list[dict[str, Any]]]:
    made: dict[str, list[dict[str, Any]]] = script.language()
    return made


def right(row: dict[str, Any]) -> str:
    answer: str = row["choices"][row["gold"]]
    return answer


def test_the_committed_files_are_what_the_script_makes(made: dict[str, list[dict[str, Any]]]) -> None:
    for name, rows in made.items():
        lines = (LANGUAGE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in lines] == rows


def test_the_text_for_calibration_is_what_is_trained(script: Any, made: dict[str, list[dict[str, Any]]]) -> None:
    text = (LANGUAGE / "train.txt").read_text(encoding="utf-8")
    assert text == script.as_text(made["train"])
    assert text.count("Kelvan:") == len(made["train"])


def test_no_sentence_is_trained_and_asked_for_or_asked_for_twice(made: dict[str, list[dict[str, Any]]]) -> None:
    prompts = [row.get("prompt", row.get("query")) for rows in made.values() for row in rows]
    assert len(set(prompts)) == len(prompts)


def test_every_word_that_is_asked_for_was_trained(made: dict[str, list[dict[str, Any]]]) -> None:
    trained = {word for row in made["train"] for word in row["completion"].split()}
    assert {word for name in ASKED for row in made[name] for word in right(row).split()} <= trained


def test_wrong_choices_differ_in_one_word_or_in_particle_and_order(made: dict[str, list[dict[str, Any]]]) -> None:
    for row in made["language_words"]:
        for choice in row["choices"]:
            differing = [a for a, b in zip(choice.split(), right(row).split(), strict=True) if a != b]
            assert len(differing) == (choice != right(row))
    for row in made["language_grammar"]:
        contents = {tuple(sorted(set(choice.split()) - {"ka", "mo"})) for choice in row["choices"]}
        assert len(contents) == 1
        assert len(set(row["choices"])) == 4


def test_lm_eval_builds_the_tasks() -> None:
    suite = build_suite(parse_tasks(",".join(ASKED)), include_path=LANGUAGE, progress=False)
    sizes = {"language_words": 256, "language_grammar": 256, "language_choice": 128}
    assert {name: len(leaf.documents) for name, leaf in suite.leaves.items()} == sizes
